// sluice as a library: the rules of one node. Run it in the project's folder, after npm ci:
//   node scripts/with-node.mjs node examples/library.mjs
import { readFileSync } from 'node:fs'
import {
  assembleSnapshot,
  compile,
  defaultProxyConfig,
  describeNode,
  formatIssue,
  link,
  parseDocuments,
  printSave,
} from 'sluice'

const file = 'examples/nginx/cluster.yaml'
const read = parseDocuments(readFileSync(file, 'utf8'), file)
const { snapshot, issues } = assembleSnapshot(read.objects)
for (const issue of [...read.issues, ...issues]) console.error(formatIssue(issue))

const config = defaultProxyConfig()
const { facts } = describeNode('node1', snapshot.nodes.get('node1'), config, undefined)
const program = compile(snapshot, config, facts, 'ipv4')
process.stdout.write(printSave(link(program)))
