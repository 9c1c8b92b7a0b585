// Changes between iptables mode and IPVS mode, with connections in both families that go on and clients that never stop
// connecting. Each check begins where the one before ended.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Client,
  EXCLUDED,
  expectAllAnswered,
  expectGoesOn,
  type ModeStage,
  POD_00,
  POD_10,
} from './ipvs-mode-stage.ts'
import { expectMatch, expectNoMatch, expectSame, soon, synced } from './ipvs-stage.ts'

export interface ModeCheck {
  readonly name: string
  /** Only when there is much time. */
  readonly isLong?: true
  readonly check: (stage: ModeStage) => Promise<void>
}

const BOTH = ['pod-0-0', 'pod-1-0'] as const
/** Of iptables mode alone; KUBE-FIREWALL is the kubelet's too. */
const IPTABLES_CHAINS = /KUBE-(?:SVC|SEP|SVL|EXT|FW|EXTERNAL-SERVICES|NODEPORTS)\b/
const IPVS_CHAINS = /KUBE-(?:NODE-PORT|LOAD-BALANCER|SOURCE-RANGES-FIREWALL|IPVS-FILTER|IPVS-OUT-FILTER)\b/
/** While clients go on, so that what fails late is seen too. */
const AFTERWARDS_MS = 1_500

const FOREIGN = `
for iptables in iptables ip6tables; do
  $iptables -t nat -N KUBE-KUBELET-CANARY; $iptables -N MINE; $iptables -A MINE -p udp --dport 9 -j DROP; $iptables -I INPUT -j MINE
done
ipset create FOREIGN hash:ip; ipset add FOREIGN 192.0.2.1
ipvsadm -A -t 192.0.2.7:80 -s wlc; ipvsadm -a -t 192.0.2.7:80 -r 192.0.2.9:80 -g -w 7; ipvsadm -A -t [fd00:51::7]:80 -s rr`

function foreign({ sh }: ModeStage): string {
  return sh(`for iptables in iptables ip6tables; do
      $iptables -t nat -S KUBE-KUBELET-CANARY; $iptables -S MINE; $iptables -S INPUT | grep MINE
    done
    ipset save FOREIGN; ipvsadm -Sn | grep -E '192.0.2|fd00:51|${EXCLUDED}'`)
}

function rules({ sh }: ModeStage): string {
  return sh('iptables-save; ip6tables-save')
}

/** All that IPVS mode has, of both tables. */
const IPVS_MODE_CHAINS = [
  'KUBE-LOAD-BALANCER',
  'KUBE-MARK-MASQ',
  'KUBE-NODE-PORT',
  'KUBE-POSTROUTING',
  'KUBE-SERVICES',
  'KUBE-FORWARD',
  'KUBE-IPVS-FILTER',
  'KUBE-IPVS-OUT-FILTER',
  'KUBE-NODE-PORT',
  'KUBE-PROXY-FIREWALL',
  'KUBE-SOURCE-RANGES-FIREWALL',
]
/** The kubelet's, and one that it may need. */
const KUBELET_CHAINS = ['KUBE-KUBELET-CANARY', 'KUBE-FIREWALL']

/** But for the kubelet's. */
function chainsOf({ sh }: ModeStage, iptables: string): string {
  const names = [...sh(`${iptables}-save`).matchAll(/^:(KUBE-\S+)/gm)].map(([, name = '']) => name)
  return names
    .filter((name) => !KUBELET_CHAINS.includes(name))
    .toSorted()
    .join('\n')
}

/** Of virtual servers that are not foreign. */
function realServers({ sh }: ModeStage): readonly string[] {
  const lines = sh('ipvsadm -Sn').split('\n')
  return lines.filter((line) => line.startsWith('-a ') && !/192\.0\.2\.|fd00:51/.test(line))
}

async function toIpvs(stage: ModeStage): Promise<void> {
  stage.sh(FOREIGN)
  const before = foreign(stage)
  stage.endpoints(POD_00, POD_10)
  await stage.change('iptables')
  const streams = await stage.openStreams('pod-0-0')
  const clients = await stage.startClients()
  await sleep(AFTERWARDS_MS)
  expectMatch('the rules of iptables mode', rules(stage), IPTABLES_CHAINS)
  await stage.change('ipvs')
  await sleep(AFTERWARDS_MS)
  await expectAllAnswered(clients, BOTH)
  await expectGoesOn(streams, 'pod-0-0')
  await Promise.all(streams.map((stream) => stream.close()))
  expectNoMatch('the rules of IPVS mode', rules(stage), IPTABLES_CHAINS)
  expectMatch('the rules of IPVS mode', rules(stage), IPVS_CHAINS)
  for (const iptables of ['iptables', 'ip6tables']) {
    expectSame(`chains of ${iptables}`, chainsOf(stage, iptables), IPVS_MODE_CHAINS.toSorted().join('\n'))
  }
  expectSame('foreign parts', foreign(stage), before)
}

async function restarts(stage: ModeStage): Promise<void> {
  const streams = await stage.openStreams('pod-0-0')
  stage.daemon().signal('SIGKILL')
  await stage.daemon().ended
  const daemon = await stage.change('ipvs')
  expectNoMatch('the log', daemon.log(), /"lines":[1-9]/)
  await expectGoesOn(streams, 'pod-0-0')

  stage.endpoints(POD_10)
  await soon(() => expectMatch('real servers', realServers(stage).join('\n'), /:8080 -m -w 0$/m))
  await stage.change('ipvs', '--endpoint-drain-interval', '1')
  await expectGoesOn(streams, 'pod-0-0')
  expectMatch('real servers', realServers(stage).join('\n'), /:8080 -m -w 0$/m)
  await Promise.all(streams.map((stream) => stream.close()))
  await soon(() => expectNoMatch('real servers', realServers(stage).join('\n'), / -w 0$/m))
  stage.endpoints(POD_00, POD_10)
  await synced(stage.daemon(), 2)
}

async function toIptables(stage: ModeStage): Promise<void> {
  stage.sh(`ipvsadm -A -t ${EXCLUDED}:80 -s rr; ipvsadm -a -t ${EXCLUDED}:80 -r 192.0.2.9:80 -m`)
  const before = foreign(stage)
  const streams = await soon(() => stage.openStreams('pod-0-0'))
  const clients = await stage.startClients()
  const talkers = await stage.startTalkers()
  await sleep(AFTERWARDS_MS)
  await expectTalking(talkers)
  await stage.change('iptables', '--mode-drain-limit', '3600')
  // A stream is in each family.
  await soon(() => {
    const left = realServers(stage)
    const isDraining = left.length > 0 && left.every((line) => line.startsWith('-a -t ') && line.endsWith(' -w 0'))
    if (!isDraining) throw new Error(left.join('\n'))
  })
  // A datagram that was under way when its virtual server went is lost.
  await sleep(AFTERWARDS_MS)
  await Promise.all(talkers.map(({ run }) => run.read()))
  await sleep(AFTERWARDS_MS)
  await expectTalking(talkers)
  await expectAllAnswered(clients, BOTH)
  await expectGoesOn(streams, 'pod-0-0')
  expectNoMatch('the rules of iptables mode', rules(stage), IPVS_CHAINS)
  expectMatch('the rules of iptables mode', rules(stage), IPTABLES_CHAINS)
  await Promise.all(streams.map((stream) => stream.close()))
  await soon(() => expectNothingLeft(stage, before))
}

/** UDP clients with one socket each are answered, and by nothing but the Service's endpoints. */
async function expectTalking(talkers: readonly Client[]): Promise<void> {
  for (const { what, run } of talkers) {
    const counts = await run.read()
    const servers = Object.keys(counts)
    if (servers.length === 0 || servers.some((name) => !BOTH.some((pod) => pod === name)))
      throw new Error(`${what}: ${JSON.stringify(counts)}`)
  }
}

function expectNothingLeft(stage: ModeStage, before: string): void {
  expectSame('foreign parts', foreign(stage), before)
  const servers = before.split('\n').filter((line) => line.startsWith('-A -t') || line.startsWith('-a -t'))
  expectSame('virtual servers', stage.sh('ipvsadm -Sn'), `${servers.join('\n')}\n`)
  expectSame('sets', stage.sh('ipset list -n'), 'FOREIGN\n')
  expectNoMatch('interfaces', stage.sh('ip -o link'), /kube-ipvs0/)
}

async function cutsAtTheLimit(stage: ModeStage): Promise<void> {
  const before = foreign(stage)
  await stage.change('ipvs')
  const streams = await stage.openStreams('pod-1-0')
  await stage.change('iptables', '--mode-drain-limit', '2')
  await soon(() => expectNothingLeft(stage, before))
  await stage.daemon().logged(/"device":"kube-ipvs0"[^\n]*is removed/)
  await Promise.all(streams.map((stream) => stream.close()))
  const clients = await stage.startClients()
  await sleep(AFTERWARDS_MS)
  await expectAllAnswered(clients, BOTH)
}

export const MODE_CHECKS: readonly ModeCheck[] = [
  {
    name: 'from iptables to IPVS: no connection fails, no stream is cut, the old rules go, foreign ones stay',
    check: toIpvs,
  },
  {
    name: 'IPVS restarted after kill -9: nothing is written, streams go on, also those to an endpoint that ends',
    isLong: true,
    check: restarts,
  },
  {
    name: 'from IPVS to iptables: no connection fails, streams go on and then all of IPVS mode goes',
    check: toIptables,
  },
  { name: 'from IPVS to iptables: what is left of IPVS mode goes at the limit', isLong: true, check: cutsAtTheLimit },
]
