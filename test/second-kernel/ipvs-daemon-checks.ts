// What `sluice run` does in IPVS mode around its syncs, as checks of one kernel in turn: each begins where the one before
// ended.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DaemonEnd } from '../support/daemon-process.ts'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { PREFLIGHT_CHECKS } from './ipvs-preflight-checks.ts'
import {
  expectMatch,
  expectNoMatch,
  expectSame,
  KERNEL_FILES,
  type KernelTexts,
  readKernel,
  type Stage,
  soon,
  synced,
} from './ipvs-stage.ts'

export interface DaemonCheck {
  readonly name: string
  /** Only when there is much time: it starts sluice many times, or others tell nearly as much. */
  readonly isLong?: true
  readonly check: (stage: Stage) => Promise<void>
}

const CASE = 'dual-stack'
const read = (name: string, file: string) => readFileSync(path.join(GOLDEN_ROOT, 'recorded', name, file), 'utf8')
const CLUSTER = read(CASE, 'cluster.yaml')
const CONFIG = read(CASE, 'ipvs/config.yaml')

/** Of the same configuration. */
const NEXT_CASE = 'loadbalancer-source-ranges'

function recorded(name: string): KernelTexts {
  return Object.fromEntries(KERNEL_FILES.map((file) => [file, read(name, `ipvs/${file}`)] as const))
}

/** Everything in the kernel that a mode of sluice could have written. */
function everything(stage: Stage): string {
  return stage.sh(`ipvsadm -Sn; ipset save; ip -o link; ip -o address
    grep . /proc/sys/net/ipv4/vs/conntrack /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
    iptables-save | grep '^-' || true; ip6tables-save | grep '^-' || true`)
}

function expectEnd({ code, stderr }: DaemonEnd, wanted: number): void {
  if (code !== wanted) throw new Error(`ended with ${code}:\n${stderr}`)
}

const CONFIG_ENDS_AT = CONFIG.trimEnd()

async function missingScheduler(stage: Stage): Promise<void> {
  stage.manifests(CLUSTER)
  const before = everything(stage)
  const agent = stage.agent(`${CONFIG_ENDS_AT}\nipvs:\n  scheduler: twos\n`, '--once')
  const end = await agent.ended
  expectEnd(end, 1)
  expectMatch(
    'the log',
    end.stderr,
    'this kernel does not have the IPVS scheduler twos: load its module (modprobe ip_vs_twos), or choose another ipvs.scheduler',
  )
  expectSame('the kernel', everything(stage), before)
}

/** Runs what follows where /usr/sbin is without one tool. */
function without(tool: string): readonly string[] {
  const script = `
    mount -t tmpfs none /mnt && cp -a /usr/sbin/xtables-* /usr/sbin/ip*tables* /usr/sbin/ipset /usr/sbin/ipvsadm /mnt
    rm /mnt/${tool} && mount --move /mnt /usr/sbin && exec "$@"`
  return ['unshare', '-m', 'sh', '-c', script, 'sh']
}

async function missingTools(stage: Stage): Promise<void> {
  const before = everything(stage)
  const config = stage.write('config-tools.yaml', CONFIG)
  const manifests = stage.write('tools.yaml', CLUSTER)
  for (const tool of ['ipvsadm', 'ipset']) {
    for (const dry of [[], ['--dry-run']]) {
      const end = await stage.end(['-f', manifests, '--config', config, '--once', ...dry], without(tool))
      expectEnd(end, 1)
      expectMatch('the log', end.stderr, `IPVS mode needs ${tool}: install it (Debian: apt-get install ${tool})`)
      expectSame('the kernel', everything(stage), before)
    }
  }
}

async function dryRun(stage: Stage): Promise<void> {
  const before = everything(stage)
  const end = await stage.agent(CONFIG, '--once', '--dry-run').ended
  expectEnd(end, 0)
  for (const part of [
    '# ipset restore\n',
    '# iptables-restore\n',
    '# ip -batch\n',
    '# ipvsadm -R\n',
    '# ip6tables-restore\n',
  ])
    expectMatch('the plan', end.stdout, part)
  for (const line of read(CASE, 'ipvs/ipvsadm-save').trim().split('\n')) expectMatch('the plan', end.stdout, line)
  expectSame('the kernel', everything(stage), before)
}

const OTHER = 'KUBE-MINE'
/** What is no Service of anybody. */
const FOREIGN = `
ipvsadm -A -t 192.0.2.7:80 -s wlc; ipvsadm -a -t 192.0.2.7:80 -r 192.0.2.9:80 -g -w 7
ipvsadm -A -t [fd00:51::7]:80 -s rr; ipvsadm -A -f 5 -s rr
ipset create ${OTHER} hash:ip; ipset add ${OTHER} 192.0.2.1
ip link add kube-dummy type dummy; ip address add 127.0.0.9/32 dev kube-dummy
iptables -t nat -N KUBE-KUBELET-CANARY; iptables -N MINE; iptables -A INPUT -m set --match-set ${OTHER} src -j MINE`

function foreign({ sh }: Stage): string {
  return sh(`ipvsadm -Sn | grep -E '192.0.2.|fd00:51|-f 5'; ipset save ${OTHER} | sed 's/ initval.*//'
    ip -o address show dev kube-dummy; iptables -t nat -S KUBE-KUBELET-CANARY; iptables -S MINE; iptables -S INPUT | grep MINE`)
}

async function servesPages(stage: Stage): Promise<void> {
  stage.manifests(CLUSTER)
  stage.sh(FOREIGN)
  const before = foreign(stage)
  const agent = stage.agent(CONFIG, '--debug-rules')
  await synced(agent)
  const get = async (page: string) => (await fetch(`http://127.0.0.1:10249${page}`)).text()
  expectSame('/proxyMode', await get('/proxyMode'), 'ipvs')
  const metrics = await get('/metrics')
  for (const family of ['IPv4', 'IPv6']) {
    for (const name of [
      'kubeproxy_sync_proxy_rules_duration_seconds_count',
      'kubeproxy_sync_full_proxy_rules_duration_seconds_count',
    ])
      expectMatch('/metrics', metrics, new RegExp(`^${name}\\{ip_family="${family}"\\} [1-9]`, 'm'))
    expectMatch(
      '/metrics',
      metrics,
      new RegExp(`^kubeproxy_sync_proxy_rules_iptables_total\\{[^}]*ip_family="${family}"[^}]*\\} [1-9]`, 'm'),
    )
  }
  expectMatch('/metrics', metrics, /^sluice_/m)
  const rules = await get('/debug/rules')
  expectMatch('/debug/rules', rules, /^ipset add KUBE-CLUSTER-IP /m)
  expectMatch('/debug/rules', rules, /^-A -t \S+:\d+ -s rr$/m)
  const [, service = ''] = /^# (\S+\/[^\s:]+)/m.exec(rules) ?? []
  expectMatch('/debug/rules of one Service', await get(`/debug/rules?service=${service}`), /^-A -t \S+:\d+ -s rr$/m)
  expectNoMatch('/debug/rules of no Service', await get('/debug/rules?service=no/body'), /^(?:-A|ipset) /m)
  expectMatch('the log', agent.log(), /"level":"warn"[^\n]*deprecates mode ipvs/)
  expectNoMatch('the log', agent.log(), /"level":"error"/)
  expectOurs(stage, recorded(CASE))
  for (const name of [NEXT_CASE, CASE]) {
    stage.manifests(read(name, 'cluster.yaml'))
    await soon(() => expectOurs(stage, recorded(name)))
  }
  await agent.end()
  for (const [, key = '', value = ''] of read(CASE, 'ipvs/sysctl').matchAll(/^(\S+) = (\d+)$/gm)) {
    expectSame(key, stage.sh(`cat /proc/sys/${key.replaceAll('.', '/')}`), `${value}\n`)
  }
  expectSame('foreign parts', foreign(stage), before)
}

async function restarts(stage: Stage): Promise<void> {
  const before = everything(stage)
  const end = await stage.agent(CONFIG, '--once', '-v', '2').ended
  expectEnd(end, 0)
  expectMatch('the log', end.stderr, /"family":"IPv4"[^\n]*"lines":0[^\n]*rules are as they should be/)
  expectMatch('the log', end.stderr, /"family":"IPv6"[^\n]*"lines":0[^\n]*rules are as they should be/)
  expectNoMatch('the log', end.stderr, /"msg":"(?:synced rules|kernel setting)"/)
  expectSame('the kernel', everything(stage), before)
  const dry = await stage.agent(CONFIG, '--once', '--dry-run').ended
  expectSame('the plan', dry.stdout.split('\n').toSorted().join('\n'), '\n# ipv4: nothing to do\n# ipv6: nothing to do')
}

/** Milliseconds after it says that it serves, when the sync begins. */
const KILLS = [0, 40, 100, 200, 350] as const

async function convergesAfterKills(stage: Stage): Promise<void> {
  const expected = recorded(CASE)
  const wipe = `ipvsadm -Sn | sed -n 's/^-A \\(.*\\) -s rr$/-D \\1/p' | grep -Ev '192.0.2.|fd00:51|-f' | ipvsadm -R || true
    ip link del kube-ipvs0; iptables -t nat -F; ip6tables -t nat -F
    for set in $(ipset list -n | grep KUBE- | grep -v ${OTHER}); do ipset flush $set; done`
  stage.sh(wipe)
  for (const delay of KILLS) {
    const agent = stage.agent(CONFIG)
    await agent.logged(/"msg":"serving"/)
    await sleep(delay)
    agent.signal('SIGKILL')
    await agent.ended
  }
  const before = foreign(stage)
  expectEnd(await stage.agent(CONFIG, '--once').ended, 0)
  expectOurs(stage, expected)
  expectSame('foreign parts', foreign(stage), before)
}

/** As recorded, beside what is foreign. */
function expectOurs(stage: Stage, expected: KernelTexts): void {
  const texts = readKernel(stage)
  for (const [name, text] of Object.entries(expected)) {
    const lines = (texts[name] ?? '').split('\n')
    const ours = lines.filter((line) => !/192\.0\.2\.|fd00:51|-f 5 |MINE|KUBELET-CANARY/.test(line))
    expectSame(name, ours.join('\n'), text)
  }
}

async function cleansUp(stage: Stage): Promise<void> {
  const before = foreign(stage)
  stage.sh('iptables -A MINE -m set --match-set KUBE-CLUSTER-IP dst -j RETURN')
  const first = await stage.end(['--cleanup', '--logging-format', 'json'])
  expectEnd(first, 0)
  expectMatch('the log', first.stderr, /"set":"KUBE-CLUSTER-IP"[^\n]*a set of IPVS mode stays/)
  expectMatch('the log', first.stderr, /"virtualServers":\d+,"sets":\d+,"device":"kube-ipvs0"[^\n]*is removed/)
  stage.sh('iptables -F MINE; ipset destroy KUBE-CLUSTER-IP')
  expectSame('foreign parts', foreign(stage), before)
  const left = stage.sh(`ipset list -n; ip -o link | grep kube | cut -d ' ' -f 2; ipvsadm -Sn | grep -c ^-A
    iptables-save | grep KUBE | sort; ip6tables-save | grep KUBE || true`)
  const wanted = `${OTHER}\nkube-dummy:\n3\n-A INPUT -m set --match-set ${OTHER} src -j MINE\n:KUBE-KUBELET-CANARY - [0:0]\n`
  expectSame('what is left', left, wanted)
}

async function cleansNothing(stage: Stage): Promise<void> {
  const before = everything(stage)
  const end = await stage.end(['--cleanup'])
  expectEnd(end, 0)
  expectSame('the log', end.stderr, '')
  expectSame('the kernel', everything(stage), before)
}

/** Must be the first: nothing here has used IPVS before. */
async function loadsNothing(stage: Stage): Promise<void> {
  const end = await stage.end(['--cleanup'])
  expectEnd(end, 0)
  expectSame('the log', end.stderr, '')
  expectNoMatch('modules', stage.sh('cut -d " " -f 1 /proc/modules'), /^(?:ip_vs|ip_set|dummy)/m)
}

export const DAEMON_CHECKS: readonly DaemonCheck[] = [
  {
    name: '--cleanup where IPVS was never used says nothing and loads no module of it',
    check: loadsNothing,
    isLong: true,
  },
  ...PREFLIGHT_CHECKS,
  { name: 'a scheduler that the kernel lacks is named, and nothing is written', check: missingScheduler, isLong: true },
  { name: 'a tool that is not installed is named, and nothing is written', check: missingTools, isLong: true },
  { name: '--dry-run prints the plan and writes nothing', check: dryRun, isLong: true },
  { name: 'the kernel is as recorded, and pages, metrics and log tell of the mode', check: servesPages },
  { name: 'a restart with unchanged state writes nothing', check: restarts },
  {
    name: 'killed while it syncs it gets there later, and foreign parts stay',
    check: convergesAfterKills,
    isLong: true,
  },
  { name: '--cleanup removes what is ours, and says what it must leave', check: cleansUp },
  { name: '--cleanup with only foreign parts says nothing', check: cleansNothing, isLong: true },
]
