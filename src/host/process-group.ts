// Ends a whole process group. The helper leads one, and the tools that it starts are in it: one that outlived its helper
// could still commit old rules after newer ones were written.
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 20
/** A commit that the kernel is working on can't be interrupted, and takes seconds with 100,000 rules. */
const PATIENCE_MS = 30_000

/** Sends SIGKILL to every process of the group, and waits until none is left that can still do something. */
export async function endProcessGroup(group: number): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    if (!signalGroup(group) || !(await hasLivingMember(group))) return
    await sleep(POLL_MS)
  }
}

/** False when there is no such group. */
function signalGroup(group: number): boolean {
  try {
    process.kill(-group, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

/** Zombies do not count: in a container nobody may ever wait for them. */
async function hasLivingMember(group: number): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
    // `pid (name) state parent group ...`; a name may hold anything, a parenthesis too.
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (Number(processGroup) === group && state !== 'Z' && state !== 'X') return true
  }
  return false
}
