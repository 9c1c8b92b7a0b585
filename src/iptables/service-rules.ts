// What both parts of a ServicePort's chunk need: its chain names, and the rules that they have in common.
import { hostCidr, type Ip } from '../model/address.ts'
import type { ServicePort } from '../model/service-port.ts'
import type { ServiceChains } from './names.ts'
import type { Rule, Target } from './rule.ts'
import { comment, toPort } from './rule-parts.ts'
import type { IptablesSettings } from './settings.ts'

export interface ServiceSettings extends IptablesSettings {
  /** Large clusters go without the comments of endpoint rules, to save memory in the kernel. */
  readonly endpointComments: boolean
}

/** A ServicePort on its way to rules. */
export interface Compilation {
  readonly servicePort: ServicePort
  readonly settings: ServiceSettings
  readonly names: ServiceChains
}

/** Whether source ranges guard the load-balancer IPs. */
export function usesFirewall({ external, loadBalancerIPs, sourceRanges }: ServicePort): boolean {
  return external.kind !== 'reject' && loadBalancerIPs.length > 0 && sourceRanges.length > 0
}

/** A rule for traffic to one address and port of the ServicePort's protocol. */
export function toAddress({ protocol }: ServicePort, ip: Ip, port: number, text: string, target: Target): Rule {
  return {
    destination: { value: hostCidr(ip) },
    protocol: { value: protocol },
    matches: [comment(text), toPort(protocol, port)],
    target,
  }
}
