// Whose the lines are that tools of IPVS mode are fed with: no line of theirs can name a Service.
import { ipvsChunkOf } from './changed-chunks.ts'
import type { IpvsChunk } from './chunk.ts'
import { nameVirtualServer } from './print.ts'
import type { IpvsProgram } from './program.ts'

/**
 * The lines, each with its owner behind it: `-d -t 10.0.0.1:80 -r 10.1.0.1:80 # ns1/svc1:p80 tcp`. Of several programs the
 * first that knows a line counts, and of several ServicePorts the first by name. Compiles ServicePorts one after the other.
 */
export function printOwnedLines(lines: readonly string[], programs: readonly IpvsProgram[]): string {
  const wanted = new Set(lines.flatMap((line) => subjectOf(line) ?? []))
  const owners = new Map<string, string>()
  for (const program of programs) {
    for (const servicePort of program.servicePorts) {
      if (owners.size === wanted.size) break
      const chunk = ipvsChunkOf(program, servicePort)
      for (const subject of subjectsOf(chunk)) {
        if (wanted.has(subject) && !owners.has(subject)) owners.set(subject, chunk.owner)
      }
    }
  }
  return lines
    .map((line) => {
      const owner = owners.get(subjectOf(line) ?? '')
      return owner === undefined ? `${line}\n` : `${line} # ${owner}\n`
    })
    .join('')
}

/** What a line of ipvsadm or of ipset is about, in words that a chunk knows too: `-t 10.0.0.1:80`, `KUBE-IPVS-IPS 10.0.0.1`. */
function subjectOf(line: string): string | undefined {
  return /^(?:-[AEDaed]|add|del) (\S+ \S+)/.exec(line)?.[1]
}

function subjectsOf({ virtualServers, entries }: IpvsChunk): readonly string[] {
  return [...virtualServers.map(nameVirtualServer), ...entries.map(({ set, text }) => `${set} ${text}`)]
}
