// Every kind of configuration that can't be used, through the whole command: what it says, and how it ends.
import { describe, expect, test } from 'vitest'
import { type Ended, sluice } from './command.ts'
import { GOOD, useOwnHome } from './own-home.ts'

const { folder, said } = useOwnHome()

/** Renders the good Service with this configuration. */
function render(config: string): Promise<Ended> {
  const good = folder.write('good.yaml', GOOD)
  return sluice(['render', '-f', good, '--family', 'ipv4', '--node', 'n1', '--config', config])
}

const HEAD = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n'

describe('a configuration that can not be used is exit code 2', () => {
  test.each<[what: string, text: string, message: string]>([
    [
      'an unknown version',
      HEAD.replace('v1alpha1', 'v2'),
      'error: kp.yaml, line 1: apiVersion: found apiVersion "kubeproxy.config.k8s.io/v2", kind "KubeProxyConfiguration": write apiVersion: kubeproxy.config.k8s.io/v1alpha1 and kind: KubeProxyConfiguration',
    ],
    [
      'an unknown mode',
      `${HEAD}mode: userspace\n`,
      'error: kp.yaml, line 3: mode: "userspace" is not allowed: use iptables, ipvs, nftables, or leave it out for iptables',
    ],
    [
      'a mode that is not served',
      `${HEAD}mode: nftables\n`,
      'error: kp.yaml: mode: mode nftables is valid for kube-proxy and not served by sluice, which serves iptables, ipvs: write mode: iptables there, or give --mode iptables',
    ],
    [
      'a scheduler that no kernel has',
      `${HEAD}mode: ipvs\nipvs:\n  scheduler: roundrobin\n`,
      'error: kp.yaml: ipvs.scheduler: "roundrobin" is no IPVS scheduler: use rr, wrr, lc, wlc, lblc, lblcr, dh, sh, mh, sed, nq, fo, ovf or twos',
    ],
    [
      'a field of a wrong type',
      `${HEAD}iptables:\n  masqueradeAll: 3\n`,
      'error: kp.yaml, line 4: iptables.masqueradeAll: expected a boolean, found the number 3: write true or false',
    ],
    [
      'an invalid CIDR',
      `${HEAD}clusterCIDR: 10.0.0.0/40\n`,
      'error: kp.yaml, line 3: clusterCIDR: "10.0.0.0/40" is not allowed: write a network such as 10.244.0.0/16, or two separated by a comma without blanks',
    ],
    ['broken YAML', 'apiVersion: [\n', 'error: kp.yaml, line 2: not valid YAML or JSON: '],
  ])('%s', async (_what, text, message) => {
    const ended = await render(folder.write('kp.yaml', text))
    expect(said(ended).filter((line) => line.startsWith(message))).toHaveLength(1)
    expect(said(ended)).toHaveLength(1)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('a file that is not there', async () => {
    const ended = await render(`${folder.path}/none.yaml`)
    expect(said(ended)).toEqual(['sluice: --config none.yaml: there is no such file or folder: check the path'])
    expect(ended.code).toBe(2)
  })

  test('but an unknown field and a repeated key are notices, as kube-proxy passes over them', async () => {
    const text = `${HEAD}clusterCidr: 10.0.0.0/8\nmode: ipvs\nmode: iptables\n`
    const ended = await render(folder.write('kp.yaml', text))
    expect(said(ended)).toEqual([
      expect.stringMatching(/^notice: kp\.yaml, line 5: .*mode.*/),
      'notice: kp.yaml, line 3: clusterCidr: unknown field clusterCidr is ignored, as kube-proxy does: correct its name or remove it',
    ])
    expect(ended.code).toBe(0)
  })
})
