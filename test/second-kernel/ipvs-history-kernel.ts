// What a kernel has after a history: that which is desired, looked at with the tools, and that of others.
import type { Hands } from '../../src/host/hands.ts'
import { parseIpsetSave } from '../../src/ipset/parse.ts'
import { printIpsetSave } from '../../src/ipset/print.ts'
import { parseIpvsadmSave } from '../../src/ipvs/parse.ts'
import { printIpvsadmSave } from '../../src/ipvs/print.ts'
import { printNodeSave } from '../../src/ipvs/print-node.ts'
import type { IpvsProgram } from '../../src/ipvs/program.ts'
import { showState } from '../../src/ipvs/shown-state.ts'
import { familyOfIp } from '../../src/model/address.ts'

type Tools = Pick<Hands, 'run' | 'listDeviceAddresses'>

const FOREIGN = /198\.51\.100\.|FOREIGN|-f \d/
const MAKE = `
ipvsadm -A -t 198.51.100.7:80 -s wlc
ipvsadm -a -t 198.51.100.7:80 -r 198.51.100.9:80 -g -w 7
ipvsadm -a -t 198.51.100.7:80 -r 198.51.100.10:80 -m -w 0
ipvsadm -A -f 5 -s rr -p 300
ipset create FOREIGN hash:ip
ipset add FOREIGN 198.51.100.1
for i in iptables-legacy ip6tables-legacy; do $i -N FOREIGN; $i -A FOREIGN -j DROP; $i -I OUTPUT -p 253 -j FOREIGN; done
ip link add FOREIGN type dummy
ip address add 198.51.100.20/32 dev FOREIGN`

/** Those of the history before are gone. Returns what must stay. */
export async function makeForeignParts(hands: Tools): Promise<string> {
  await shell(
    hands,
    'ipvsadm -C; ip link delete kube-ipvs0; ip link delete FOREIGN; for i in iptables-legacy ip6tables-legacy; do for t in nat filter; do $i -t $t -F; $i -t $t -X; done; done; ipset destroy; true',
  )
  await shell(hands, MAKE)
  return foreignParts(hands)
}

export async function foreignParts(hands: Tools): Promise<string> {
  const text = await shell(
    hands,
    'ipvsadm -Sn; ipset save FOREIGN; iptables-legacy-save; ip6tables-legacy-save; ip -oneline address show dev FOREIGN',
  )
  const lines = text.split('\n').filter((line) => FOREIGN.test(line))
  return lines.map((line) => line.replace(/ initval \S+| \[\d+:\d+\]$/g, '').replace(/^\d+: /, '')).join('\n')
}

/** What the kernel has too much, and what is missing; empty when it is right. Rules are looked at by a plan. */
export async function differences(hands: Tools, program: IpvsProgram): Promise<string> {
  const wanted = new Map(printNodeSave([showState(program)]).map(({ name, text }) => [name, text]))
  const servers = parseIpvsadmSave(await shell(hands, 'ipvsadm -Sn')).services
  const sets = [...parseIpsetSave(await shell(hands, 'ipset save')).sets.values()]
  const addresses = (await hands.listDeviceAddresses('kube-ipvs0')) ?? []
  const own = addresses.filter((ip) => familyOfIp(ip) === program.family && !ip.startsWith('fe80:'))
  const suffix = program.family === 'ipv4' ? '/32' : '/128'
  return [
    compare(wanted.get('ipvsadm-save'), printIpvsadmSave(servers.filter(({ name }) => !FOREIGN.test(name)))),
    compare(wanted.get('ipset-save'), printIpsetSave(sets.filter(({ name }) => !FOREIGN.test(name)))),
    compare(wanted.get('kube-ipvs0-addresses'), own.map((ip) => `${ip}${suffix}\n`).join('')),
  ].join('')
}

function compare(wanted = '', actual: string): string {
  const [has, wants] = [actual, wanted].map((text) => new Set(text.split('\n')))
  const more = [...(has ?? [])].filter((line) => wants?.has(line) !== true).map((line) => `too much: ${line}\n`)
  const less = [...(wants ?? [])].filter((line) => has?.has(line) !== true).map((line) => `missing: ${line}\n`)
  return [...more, ...less].join('')
}

async function shell(hands: Pick<Hands, 'run'>, script: string): Promise<string> {
  const { stdout } = await hands.run({ argv: ['sh', '-c', `${script} 2>&1`], timeoutMs: 60_000 })
  return stdout
}
