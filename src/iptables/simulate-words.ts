// Matches that the rule model keeps word by word, as far as foreign rules of nodes commonly have them and the first
// packet of a connection decides them. Everything else stays unknown.
import type { Subject } from './simulate-journey.ts'

/** Words from `-m` on. Undefined when it can't be known whether they match. */
export function understandWords(words: readonly string[], subject: Subject): boolean | undefined {
  if (words[0] !== '-m') return undefined
  const name = words[1] ?? ''
  const options = words.slice(2).filter((word) => word !== '')
  switch (name) {
    case 'multiport':
      return multiport(options, subject)
    case 'state':
      return state(options, subject)
    case 'tcp':
      return tcpFlags(options, subject)
    case 'icmp':
    case 'icmp6':
      return echoRequest(options, subject)
    default:
      return undefined
  }
}

function multiport(
  options: readonly string[],
  { protocol, sourcePort, destinationPort }: Subject,
): boolean | undefined {
  const not = options[0] === '!'
  const [flag = '', list = '', ...more] = not ? options.slice(1) : options
  if (more.length > 0 || !/^\d+(?::\d+)?(?:,\d+(?::\d+)?)*$/.test(list)) return undefined
  if (protocol === 'icmp') return false
  const has = (port: number) =>
    list.split(',').some((item) => {
      const [from = '', to = from] = item.split(':')
      return port >= Number(from) && port <= Number(to)
    })
  switch (flag) {
    case '--dports':
      return has(destinationPort) !== not
    case '--sports':
      return has(sourcePort) !== not
    case '--ports':
      return (has(sourcePort) || has(destinationPort)) !== not
    default:
      return undefined
  }
}

function state(options: readonly string[], { tracking }: Subject): boolean | undefined {
  const not = options[0] === '!'
  const [flag, list = '', ...more] = not ? options.slice(1) : options
  if (flag !== '--state' || more.length > 0) return undefined
  const actual = tracking === 'new' ? 'NEW' : tracking === 'untracked' ? 'UNTRACKED' : 'INVALID'
  return list.split(',').includes(actual) !== not
}

/** The first packet of a TCP connection has SYN and nothing else. */
function tcpFlags(options: readonly string[], { protocol, sourcePort, destinationPort }: Subject): boolean | undefined {
  if (protocol !== 'tcp') return false
  let truth = true
  for (let at = 0; at < options.length; at += 1) {
    const not = options[at] === '!'
    if (not) at += 1
    const flag = options[at]
    const value = options[(at += 1)] ?? ''
    if (flag === '--dport' || flag === '--sport') {
      const [from = '', to = from] = value.split(':')
      const port = flag === '--dport' ? destinationPort : sourcePort
      truth &&= (port >= Number(from) && port <= Number(to)) !== not
    } else if (flag === '--tcp-flags') {
      const wanted = (options[(at += 1)] ?? '').split(',').filter((name) => name !== 'NONE')
      const looked = value === 'ALL' || value.split(',').includes('SYN')
      const same = looked ? wanted.length === 1 && wanted[0] === 'SYN' : wanted.length === 0
      truth &&= same !== not
    } else return undefined
  }
  return truth
}

function echoRequest(options: readonly string[], { protocol }: Subject): boolean | undefined {
  if (protocol !== 'icmp') return false
  const [flag, type, ...more] = options
  if (more.length > 0 || !/^--icmp(?:v6)?-type$/.test(flag ?? '')) return undefined
  return ['8', '8/0', 'echo-request', '128', 'any'].includes(type ?? '')
}
