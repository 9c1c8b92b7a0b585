// Chain names and probabilities that others see: operators grep for the first, the kernel rounds the second.
import { describe, expect, test } from 'vitest'
import { compile, link, printSave } from '../../src/index.ts'
import { isServiceChain, nameEndpointChain, nameServiceChains } from '../../src/iptables/names.ts'
import { parseRule } from '../../src/iptables/parse-rule.ts'
import { printRule } from '../../src/iptables/print-rule.ts'
import { oneIn } from '../../src/iptables/rule-parts.ts'
import type { Protocol } from '../../src/model/object-name.ts'
import type { ServicePort } from '../../src/model/service-port.ts'
import { readCase } from '../support/golden-case.ts'

/** Names depend on nothing else of a ServicePort. */
function named(name: string, protocol: Protocol): ServicePort {
  return { name, protocol } as ServicePort
}

describe('chain names', () => {
  test.each([
    ['ns1/svc1:p80', 'tcp', 'XPGD46QRK7WJZT7O'],
    ['ns1/svc1', 'udp', 'A2PEVXD55OHK2IVW'],
    ['ns1/svc1:p80', 'sctp', 'GFCIFIA5VTFSTMSM'],
    ['ns1/svc1:p80', 'udp', 'OJWW7NSBVZTDHXNW'],
    ['ns2/svc2:p80', 'tcp', 'GNZBNJ2PO5MGZ6GT'],
    ['ns2/svc2:p8080', 'tcp', '2VJB64SDSIJUP5T6'],
    ['ns3/svc3:p80', 'tcp', 'X27LE4BHSL4DOUIK'],
    ['ns4/svc4:p80', 'tcp', '4SW47YFZTEDKD3PK'],
    ['ns5/svc5:p80', 'tcp', 'NUKIZ6OKUXPJNT4C'],
    ['default/kubernetes:https', 'tcp', 'NPX46M4PTMTKRN6Y'],
    ['kube-system/kube-dns:dns', 'udp', 'TCOU7JCQXEZGVUNU'],
    ['kube-system/kube-dns:dns-tcp', 'tcp', 'ERIFXISQEP7F7OF4'],
    ['kube-system/kube-dns:metrics', 'tcp', 'JD5MR3NA4I4DYORP'],
  ] as const)('of %s %s end in %s', (name, protocol, hash) => {
    expect(nameServiceChains(named(name, protocol))).toEqual({
      cluster: `KUBE-SVC-${hash}`,
      local: `KUBE-SVL-${hash}`,
      external: `KUBE-EXT-${hash}`,
      firewall: `KUBE-FW-${hash}`,
    })
  })

  test.each([
    ['ns1/svc1:p80', 'tcp', '10.180.0.1:80', 'SXIVWICOYRO3J4NJ'],
    ['ns1/svc1:p80', 'tcp', '10.180.0.1:8080', 'CPWPCALSNDDLLDLJ'],
    ['ns1/svc1:p80', 'tcp', '10.180.0.2:8080', 'VLCBLZ3INDL6LVTP'],
    ['ns1/svc1:p80', 'tcp', '[fd00:10::1]:8080', '2YRJFLCBJYQOU77L'],
    ['ns1/svc1:p80', 'tcp', '[fd00:10::a]:8080', 'UND7QQAO62IHXM5V'],
    ['ns1/svc1', 'udp', '10.180.0.1:53', 'WOVZ7FYWLOFVMYSJ'],
    ['ns1/svc1:p80', 'sctp', '10.180.0.1:8080', 'HT563GSIRIQQUC46'],
    ['ns3/svc3:p80', 'tcp', '10.0.3.2:80', 'DKCFIS26GWF2WLWC'],
    ['ns5/svc5:p80', 'tcp', '10.180.0.3:80', 'I77PXRDZVX7PMWMN'],
  ] as const)('of endpoints of %s %s at %s end in %s', (name, protocol, endpoint, hash) => {
    expect(nameEndpointChain(named(name, protocol), endpoint)).toBe(`KUBE-SEP-${hash}`)
  })

  test.each(['KUBE-SVC-A', 'KUBE-SVL-A', 'KUBE-SEP-A', 'KUBE-FW-A', 'KUBE-EXT-A'])('%s is of one Service', (chain) => {
    expect(isServiceChain(chain)).toBe(true)
  })

  test.each(['KUBE-SERVICES', 'KUBE-FIREWALL', 'KUBE-EXTERNAL-SERVICES', 'INPUT', 'MY-KUBE-SVC-A'])(
    '%s is not',
    (chain) => {
      expect(isServiceChain(chain)).toBe(false)
    },
  )
})

describe('the names that the first documents of this project show', () => {
  function natRules(caseName: string): readonly string[] {
    const { snapshot, config, node } = readCase(`recorded/${caseName}`)
    return printSave(link(compile(snapshot, config, node, 'ipv4'))).split('\n')
  }

  test('the ClusterIP Service default/my-nginx has KUBE-SVC-L65ENXXZWWSAPRCR', () => {
    expect(natRules('seed-clusterip-my-nginx')).toContain(
      '-A KUBE-SERVICES -d 10.98.63.235/32 -p tcp -m comment --comment "default/my-nginx cluster IP" -m tcp --dport 80 -j KUBE-SVC-L65ENXXZWWSAPRCR',
    )
  })

  test('the node port of default/my-nginx-nodeport leads to KUBE-EXT-, then KUBE-SVC-J5QV2XWG4FEBPH3Q, then its Pods', () => {
    const name = '--comment "default/my-nginx-nodeport'
    const rules = natRules('seed-nodeport-my-nginx')
    for (const rule of [
      `-A KUBE-NODEPORTS -p tcp -m comment ${name}" -m tcp --dport 30380 -j KUBE-EXT-J5QV2XWG4FEBPH3Q`,
      '-A KUBE-EXT-J5QV2XWG4FEBPH3Q -j KUBE-SVC-J5QV2XWG4FEBPH3Q',
      `-A KUBE-SVC-J5QV2XWG4FEBPH3Q -m comment ${name} -> 10.244.102.90:80" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-XRUO23GXY67LXLQN`,
      `-A KUBE-SVC-J5QV2XWG4FEBPH3Q -m comment ${name} -> 10.244.121.23:80" -j KUBE-SEP-IIBDPNPJZXXASELC`,
      `-A KUBE-SEP-XRUO23GXY67LXLQN -p tcp -m comment ${name}" -m tcp -j DNAT --to-destination 10.244.102.90:80`,
      `-A KUBE-SEP-IIBDPNPJZXXASELC -p tcp -m comment ${name}" -m tcp -j DNAT --to-destination 10.244.121.23:80`,
    ]) {
      expect(rules).toContain(rule)
    }
  })
})

// kube-proxy writes 10 decimals, iptables takes their product with 2^31, rounded, and shows that with 11 decimals.
describe('the probability of each of n endpoints', () => {
  test.each([
    [1, '1.0000000000', 2147483648, '1.00000000000'],
    [2, '0.5000000000', 1073741824, '0.50000000000'],
    [3, '0.3333333333', 715827883, '0.33333333349'],
    [4, '0.2500000000', 536870912, '0.25000000000'],
    [5, '0.2000000000', 429496730, '0.20000000019'],
    [6, '0.1666666667', 357913941, '0.16666666651'],
    [7, '0.1428571429', 306783378, '0.14285714272'],
    [8, '0.1250000000', 268435456, '0.12500000000'],
    [9, '0.1111111111', 238609294, '0.11111111101'],
    [10, '0.1000000000', 214748365, '0.10000000009'],
    [11, '0.0909090909', 195225786, '0.09090909082'],
    [13, '0.0769230769', 165191050, '0.07692307699'],
    [100, '0.0100000000', 21474836, '0.00999999978'],
    [999, '0.0010010010', 2149633, '0.00100100087'],
    [1000, '0.0010000000', 2147484, '0.00100000016'],
    [1001, '0.0009990010', 2145338, '0.00099900085'],
    [1024, '0.0009765625', 2097152, '0.00097656250'],
    [2048, '0.0004882812', 1048576, '0.00048828125'],
    [4096, '0.0002441406', 524288, '0.00024414062'],
    [10000, '0.0001000000', 214748, '0.00009999983'],
    [100000, '0.0000100000', 21475, '0.00001000008'],
    [100001, '0.0000099999', 21475, '0.00001000008'],
  ])('1/%i, which kube-proxy writes as %s, is %i of 2^31 and shown as %s', (n, written, threshold, shown) => {
    expect(oneIn(n)).toEqual({ kind: 'statistic', threshold })
    expect(printRule({ matches: [oneIn(n)] }, 'ipv4')).toBe(`-m statistic --mode random --probability ${shown}`)
    expect(parseRule(`-m statistic --mode random --probability ${written}`, 'ipv4').matches).toEqual([oneIn(n)])
  })
})
