// What kube-proxy 1.36.2 put into a real kernel, byte for byte.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile, type Family, link, printSave } from '../../src/index.ts'
import { listCases, readCase } from '../support/golden-case.ts'

const FILES: Readonly<Record<Family, string>> = { ipv4: 'iptables-save', ipv6: 'ip6tables-save' }
const recorded = listCases().filter((name) => name.startsWith('recorded/'))

test('all 114 recorded clusters are here', () => {
  expect(recorded).toHaveLength(114)
})

describe.each(recorded)('%s', (name) => {
  const golden = readCase(name)
  test.each(['ipv4', 'ipv6'] as const)('%s rules are those that kube-proxy made', (family) => {
    const program = compile(golden.snapshot, golden.config, golden.node, family)
    const expected = readFileSync(path.join(golden.folder, 'iptables', FILES[family]), 'utf8')
    expect(printSave(link(program))).toBe(expected)
  })
})
