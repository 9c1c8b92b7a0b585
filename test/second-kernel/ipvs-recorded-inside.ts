// What ipvs-recorded.test.ts runs in the second kernel: ipvs-recorded-inside.ts SLUICE CASE..., recorded cases through
// whole `sluice run` processes. Those of the same configuration are one process's, whose manifests change from one to the
// next; between configurations `sluice run --cleanup` has to leave nothing.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { GOLDEN_ROOT } from '../support/golden-case.ts'
import { hold } from './held.ts'
import { expectKernel, expectSame, KERNEL_FILES, openStage, type Stage, soon } from './ipvs-stage.ts'

const [program = '', ...cases] = process.argv.slice(2)
const read = (name: string, file: string) => readFileSync(path.join(GOLDEN_ROOT, 'recorded', name, file), 'utf8')

function makeInterfaces({ sh }: Stage, name: string): void {
  const { interfaces } = JSON.parse(read(name, 'ipvs/host.json')) as { interfaces: Record<string, readonly string[]> }
  for (const [link, addresses] of Object.entries(interfaces)) {
    if (link === 'lo') continue
    const lines = addresses.map((cidr) => `ip address add ${cidr} dev ${link} ${cidr.includes(':') ? 'nodad' : ''}`)
    sh([`ip link add ${link} type bridge; ip link set ${link} up`, ...lines].join('\n'))
  }
}

function expectSysctls(name: string): void {
  for (const [, key = '', value = ''] of read(name, 'ipvs/sysctl').matchAll(/^(\S+) = (\d+)$/gm)) {
    const found = readFileSync(`/proc/sys/${key.replaceAll('.', '/')}`, 'utf8')
    expectSame(key, found, `${value}\n`)
  }
}

function expectNothing(stage: Stage): void {
  const left = stage.sh(
    `ipvsadm -Sn; ipset list -n; ip -o link show kube-ipvs0 2>/dev/null || true
    iptables-save | grep KUBE || true; ip6tables-save | grep KUBE || true`,
  )
  expectSame('what --cleanup leaves', left, '')
}

const stage = openStage(program)
try {
  const [first] = cases
  if (first !== undefined) makeInterfaces(stage, first)
  for (const config of new Set(cases.map((name) => read(name, 'ipvs/config.yaml')))) {
    const same = cases.filter((name) => read(name, 'ipvs/config.yaml') === config)
    stage.manifests(read(same[0] ?? '', 'cluster.yaml'))
    stage.sh('for name in arp_ignore arp_announce; do echo 0 >/proc/sys/net/ipv4/conf/all/$name; done')
    const agent = stage.agent(config)
    for (const name of same) {
      await hold(name, undefined, async () => {
        stage.manifests(read(name, 'cluster.yaml'))
        const expected = KERNEL_FILES.map((file) => [file, read(name, `ipvs/${file}`)] as const)
        try {
          await soon(() => expectKernel(stage, Object.fromEntries(expected)))
        } catch (error) {
          throw new Error(`${String(error)}\n${agent.log().slice(-3000)}`, { cause: error })
        }
        expectSysctls(name)
      })
    }
    await hold(`--cleanup after ${same[0]}`, undefined, async () => {
      if (/"level":"error"|somebody changed/.test(agent.log())) throw new Error(agent.log())
      await agent.end()
      const { code, stderr } = await stage.end(['--cleanup'])
      if (code !== 0) throw new Error(stderr)
      expectNothing(stage)
    })
  }
} finally {
  await stage.close()
}
