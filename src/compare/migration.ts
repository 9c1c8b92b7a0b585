// A move of a node's Services to another mode or proxy.
import type { IptablesSettings } from '../iptables/settings.ts'
import type { ProxyConfig } from '../model/config.ts'
import type { ServicePort } from '../model/service-port.ts'

/** `ipvs` from iptables, `iptables` from IPVS, `sluice` from kube-proxy in iptables mode. */
export type Migration = 'iptables' | 'ipvs' | 'sluice'

export interface MigrationInput {
  readonly servicePorts: readonly ServicePort[]
  readonly settings: IptablesSettings
  readonly config: ProxyConfig
}
