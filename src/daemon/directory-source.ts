// A folder of manifests as the daemon's source, for a host without a cluster.
import { watchDirectory } from '../kube/manifests/directory-source.ts'
import { formatIssue } from '../model/issue.ts'
import type { Node } from '../model/snapshot.ts'
import type { Source, SourceOptions } from './cluster-source.ts'

export function openDirectorySource(options: SourceOptions & { readonly paths: readonly string[] }): Source {
  const { paths, nodeName, log, metrics, signal } = options
  let node: Node | undefined
  let isFirst = true
  let tellFirst: (node: Node | undefined) => void = () => {}
  const first = new Promise<Node | undefined>((resolve) => {
    tellFirst = resolve
  })
  const watching = watchDirectory({
    paths,
    signal,
    onSnapshot: (snapshot) => {
      const before = node
      node = snapshot.nodes.get(nodeName)
      metrics.sourceSynced('files', true)
      metrics.sourceHeard('files')
      metrics.servicesChanged(snapshot.services.length)
      if (isFirst || node !== before) options.onNode(node)
      isFirst = false
      tellFirst(node)
      options.onSnapshot(snapshot, [])
    },
    onIssues: (issues) => {
      for (const issue of issues) {
        if (issue.severity === 'error') log.warn(formatIssue(issue))
        else log.verbose(2, formatIssue(issue))
      }
    },
  })
  // Reported here too, because nobody waits for the end of it before the daemon ends.
  watching.catch((error: unknown) => log.error('the files can not be watched', { error }))
  return {
    name: paths.join(', '),
    firstNode: () => Promise.race([first, watching.then(() => undefined)]),
    close: () => watching.catch(() => {}),
  }
}
