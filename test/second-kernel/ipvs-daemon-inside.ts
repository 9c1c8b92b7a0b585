// What ipvs-daemon.test.ts runs in the second kernel: ipvs-daemon-inside.ts SLUICE PART [long [PATTERN]], where the part is
// `checks` or `modes`, and the pattern chooses names.
import { hold } from './held.ts'
import { DAEMON_CHECKS } from './ipvs-daemon-checks.ts'
import { MODE_CHECKS } from './ipvs-mode-checks.ts'
import { openModeStage } from './ipvs-mode-stage.ts'
import { openStage } from './ipvs-stage.ts'

const [program = '', part, long, pattern = ''] = process.argv.slice(2)
const isNow = ({ name, isLong }: { readonly name: string; readonly isLong?: true }) =>
  (isLong !== true || long === 'long') && new RegExp(pattern).test(name)

if (part === 'modes') {
  await using stage = await openModeStage(program)
  for (const { name, check } of MODE_CHECKS.filter(isNow)) await hold(name, undefined, () => check(stage))
} else {
  const stage = openStage(program)
  stage.sh(`
    ip link add eth0 type bridge; ip link set eth0 up; ip link add cni0 type bridge; ip link set cni0 up
    ip address add 192.168.1.63/24 dev eth0; ip address add fd00:1::63/64 dev eth0 nodad
    ip address add 10.244.1.1/24 dev cni0; ip address add fd00:10:244:1::1/64 dev cni0 nodad`)
  try {
    for (const { name, check } of DAEMON_CHECKS.filter(isNow)) await hold(name, undefined, () => check(stage))
  } finally {
    await stage.close()
  }
}
