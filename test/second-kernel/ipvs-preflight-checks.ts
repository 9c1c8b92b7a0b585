// What `sluice run` says in IPVS mode where the kernel or a right is missing, before it writes anything. No rule may use the
// modules before.
import path from 'node:path'
import type { DaemonCheck } from './ipvs-daemon-checks.ts'
import { expectMatch, expectSame, type Stage } from './ipvs-stage.ts'

const CONFIG = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
hostnameOverride: worker-1
`

const NODE = `apiVersion: v1
kind: Node
metadata: { name: worker-1 }
status: { addresses: [{ type: InternalIP, address: 192.168.1.63 }] }
`

interface Missing {
  /** What the kernel asks modprobe for, as a pattern of the shell. */
  readonly alias: string
  readonly message: string
  /** Only making one tells. */
  readonly needsWriting?: true
}

const MISSING: readonly Missing[] = [
  {
    alias: '*xt_ipvs|*ipt_ipvs',
    message:
      'this kernel has no match ipvs of iptables: load its module (modprobe xt_ipvs), or use a kernel that was built with CONFIG_NETFILTER_XT_MATCH_IPVS',
  },
  {
    alias: '*xt_set|*ipt_set',
    message:
      'this kernel has no match set of iptables: load its module (modprobe xt_set), or use a kernel that was built with CONFIG_NETFILTER_XT_SET',
  },
  {
    alias: '*ip_set_hash:ip,port,ip',
    message:
      'this kernel has no sets of type hash:ip,port,ip: load its module (modprobe ip_set_hash_ipportip), or use a kernel that was built with CONFIG_IP_SET_HASH_IPPORTIP',
    needsWriting: true,
  },
]

function everything({ sh }: Stage): string {
  return sh(`ipvsadm -Sn; ipset save; ip -o link; ip -o address
    iptables-save | grep '^-' || true; ip6tables-save | grep '^-' || true`)
}

async function expectRefusal(stage: Stage, message: string, more: readonly string[], inside: readonly string[] = []) {
  const before = everything(stage)
  const files = ['-f', stage.write('node.yaml', NODE), '--config', stage.write('config-preflight.yaml', CONFIG)]
  const { code, stderr } = await stage.end([...files, '--once', ...more], inside)
  expectMatch('the log', stderr, message)
  expectSame('the exit status', String(code), '1')
  expectSame('the kernel', everything(stage), before)
}

/** A kernel that was built without them answers as one that does not find their modules. */
async function missingModules(stage: Stage): Promise<void> {
  const usual = stage.sh('cat /proc/sys/kernel/modprobe').trim()
  for (const { alias, message, needsWriting } of MISSING) {
    const script = `#!/bin/sh\nfor word in "$@"; do case "$word" in ${alias}) exit 1;; esac; done\nexec ${usual} "$@"\n`
    const file = stage.write('modprobe', script)
    // The check before loaded the others.
    stage.sh(`chmod +x ${file}; rmmod xt_ipvs xt_set 2>/dev/null || true; echo ${file} > /proc/sys/kernel/modprobe`)
    try {
      await expectRefusal(stage, message, [])
      if (needsWriting !== true) await expectRefusal(stage, message, ['--dry-run'])
    } finally {
      stage.sh(`echo ${usual} > /proc/sys/kernel/modprobe`)
    }
  }
}

async function withoutRights(stage: Stage): Promise<void> {
  // Readable files, and a folder for temporary ones, as everybody has.
  const folder = path.dirname(stage.write('readable', ''))
  const temporary = path.join(folder, 'temporary')
  stage.sh(`chmod 755 ${folder}; mkdir ${temporary}; chmod 777 ${temporary}`)
  const nobody = ['setpriv', '--reuid=65534', '--clear-groups', 'env', `TMPDIR=${temporary}`]
  await expectRefusal(stage, 'IPVS mode needs root or the capability NET_ADMIN', ['--dry-run'], nobody)
}

export const PREFLIGHT_CHECKS: readonly DaemonCheck[] = [
  { name: 'a kernel module that is missing is named, and nothing is written', check: missingModules, isLong: true },
  { name: '--dry-run without root says what it needs', check: withoutRights, isLong: true },
]
