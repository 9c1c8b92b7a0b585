// Lines of boxes broken for drawings: nothing of them is lost, and chains of different Services keep one form.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { breakLines, labelLines, piecesOf } from '../../src/picture/line-breaks.ts'
import { collectNames, putIn, takeOut } from '../../src/picture/tokens.ts'

const broken = (line: string) =>
  piecesOf(
    breakLines({ title: '', edges: [], nodes: [{ kind: 'chain', column: 0, lines: [line] }] }).nodes[0]?.lines[0] ?? '',
  )

test.each([
  ['KUBE-SVC-67NZLRHBNDSAWJRO', ['KUBE-SVC-', '67NZLRHBNDSAWJRO']],
  ['KUBE-SOURCE-RANGES-FIREWALL', ['KUBE-SOURCE-RANGES-', 'FIREWALL']],
  ['KUBE-PROXY-FIREWALL', ['KUBE-PROXY-FIREWALL']],
  ['masquerade: not from 10.244.0.0/16', ['masquerade: not from ', '10.244.0.0/16']],
  ['[fd00:10:244:1::1]:30080/tcp', ['[fd00:10:244:1::1]:30080/tcp']],
])('%s', (line, pieces) => {
  expect(broken(line)).toEqual(pieces)
})

test('the pieces come to the line again, and are short but for single words', () => {
  const words = fc.array(fc.stringMatching(/^[\w.:/-]{1,30}$/), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(words, (list) => {
      const line = list.join(' ')
      const pieces = broken(line)
      expect(pieces.join('')).toBe(line)
      const long = pieces.map((piece) => piece.trimEnd()).filter((piece) => piece.length > 20)
      expect(long.filter((piece) => piece.includes(' '))).toEqual([])
    }),
  )
})

test('labels are broken at or, and then at words', () => {
  expect(labelLines('from 10.244.0.0/16 or from this node')).toEqual(['from', '10.244.0.0/16', 'or from this', 'node'])
  expect(labelLines('33.3%')).toEqual(['33.3%'])
})

test('the hash of a broken chain is taken out as its name is, and put in again', () => {
  const text = 'KUBE-SVC-\n67NZLRHBNDSAWJRO'
  const names = collectNames(['shop/web', 'KUBE-SVC-67NZLRHBNDSAWJRO'])
  expect(takeOut(text, names)).toBe('KUBE-SVC-\n{1>}')
  expect(putIn('KUBE-SVC-\n{1>}', names.list)).toBe(text)
  expect(putIn('KUBE-SVC-\n{1>}', ['store/db', 'KUBE-SVC-ECBJC4C3ZTYKILZE'])).toBe('KUBE-SVC-\nECBJC4C3ZTYKILZE')
})
