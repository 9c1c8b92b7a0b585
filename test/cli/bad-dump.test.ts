// Saved rules that are none, half or of another mode, through every command that reads them: the error names the file
// and what to give instead, and the exit code is 2.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Ended, sluice } from './command.ts'
import { useOwnHome } from './own-home.ts'

const home = useOwnHome()
const { folder } = home

const CLUSTER = `apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.1.10}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}
`
const SAVED = `*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
-A PREROUTING -j KUBE-SERVICES
COMMIT
`
const IPVS_SAVED = `*filter
:INPUT ACCEPT [0:0]
:KUBE-IPVS-FILTER - [0:0]
-A INPUT -j KUBE-IPVS-FILTER
COMMIT
`

/** The arguments of each command that reads a dump, without --dump. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  trace: ['trace', 'tcp 10.0.0.1:40000 -> 10.96.0.9:80'],
  explain: ['explain', '-A', '-f', 'CLUSTER', '--node', 'n1'],
  verify: ['verify', '-f', 'CLUSTER', '--node', 'n1'],
  lint: ['lint'],
  graph: ['graph', 'shop/web'],
}

function run(command: readonly string[], ...more: readonly string[]): Promise<Ended> {
  const cluster = folder.write('cluster.yaml', CLUSTER)
  return sluice([...command.map((word) => (word === 'CLUSTER' ? cluster : word)), ...more])
}

/** What it reported, with the folder left out of paths. */
function said(ended: Ended): string {
  return home.said(ended).join('\n')
}

const BAD: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['half a dump, without COMMIT', SAVED.replace('COMMIT\n', ''), /bad\.save, line 6: the text ends inside a table: /],
  ['half a dump, cut within a line', SAVED.slice(0, 80), /bad\.save, line \d: the text ends inside a table: give the/],
  ['nft', 'table ip nat {\n}\n', /bad\.save, line 1: .* the syntax of nft: give the output of iptables-save/],
  ['iptables -L', 'Chain INPUT (policy ACCEPT)\n', /bad\.save, line 1: .* iptables -L, .*: give the output of ipt/],
  ['ipset list', 'Name: KUBE-CLUSTER-IP\nType: hash:ip\n', /line 1: .* ipset list: give the output of ipset save$/],
  ['ipvsadm -L', 'IP Virtual Server version 1.2.1\n', /line 1: .* ipvsadm -L: give the output of ipvsadm -Sn$/],
]

describe.each(Object.entries(COMMANDS))('%s refuses', (_name, command) => {
  test.each(BAD)('%s', async (_what, text, message) => {
    const ended = await run(command, '--dump', folder.write('bad.save', text))
    expect(said(ended)).toMatch(message)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('bytes that are no text', async () => {
    const file = `${folder.path}/bad.save`
    writeFileSync(file, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0xff, 0xfe]))
    const ended = await run(command, '--dump', file)
    expect(said(ended)).toBe('sluice: --dump bad.save: it is not UTF-8 text: check that it is the right file')
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('a folder without saved rules', async () => {
    mkdirSync(`${folder.path}/void`)
    const ended = await run(command, '--dump', `${folder.path}/void`)
    expect(said(ended)).toMatch(/^sluice: --dump void: the folder has no iptables-save, .*: name the files$/)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test('a file that is not there', async () => {
    const ended = await run(command, '--dump', `${folder.path}/none.save`)
    expect(said(ended)).toBe('sluice: --dump none.save: there is no such file or folder: check the path')
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test.skipIf(process.getuid?.() === 0)('a file of somebody else', async () => {
    const file = folder.write('secret.save', SAVED)
    chmodSync(file, 0)
    const ended = await run(command, '--dump', file)
    expect(said(ended)).toBe('sluice: --dump secret.save: permission denied: allow this user to use it')
    expect(ended.code).toBe(2)
  })
})

describe('diff refuses, on either side,', () => {
  test.each(BAD)('%s', async (_what, text, message) => {
    const good = folder.write('good.save', SAVED)
    const bad = folder.write('bad.save', text)
    for (const sides of [
      [good, bad],
      [bad, good],
    ]) {
      const ended = await sluice(['diff', ...sides])
      expect(said(ended)).toMatch(message)
      expect(ended).toMatchObject({ code: 2, stdout: '' })
    }
  })
})

describe('verify refuses rules of another mode', () => {
  test.each([
    ['of IPVS, for a cluster in iptables mode', IPVS_SAVED, 'iptables', 'ipvs'],
    ['of iptables, for a cluster in IPVS mode', SAVED, 'ipvs', 'iptables'],
  ])('%s', async (_what, text, asked, found) => {
    const dump = folder.write('other.save', text)
    const ended = await run(COMMANDS['verify'] ?? [], '--dump', dump, '--mode', asked)
    expect(said(ended)).toBe(
      `sluice: other.save has the rules of ${found} mode and the configuration asks for ${asked}: give --mode ${found}, or see sluice diff --migrate`,
    )
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })
})
