// `sluice golden`: finds what differs from the stored rules, shows it, and writes it anew.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { checkGoldens, isAsExpected } from '../../src/cli/golden/check.ts'
import { showDifference, summariseDifferences } from '../../src/cli/golden/show.ts'
import { contents, OWN_SCENARIOS as OWN, read } from '../support/golden-files.ts'

describe('sluice golden', () => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'sluice-golden-'))
  afterAll(() => rmSync(scratch, { recursive: true }))
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(path.join(scratch, 'scenarios-'))
    for (const name of ['cluster-ip', 'node-port', 'story-scale']) copy(name, name)
  })
  const at = (...parts: readonly string[]) => path.join(root, ...parts)
  const copy = (from: string, to: string) => cpSync(path.join(OWN, from), at(to), { recursive: true })
  const append = (file: string, text: string) => writeFileSync(file, read(file) + text)

  test('finds nothing where nothing changed', () => {
    const report = checkGoldens([root])
    expect(report).toMatchObject({ scenarios: 3, outputs: 43, differences: [], strays: [], failures: [] })
    expect(isAsExpected(report)).toBe(true)
  })

  test('takes a scenario as well as a folder of them, and checks it once', () => {
    expect(checkGoldens([at('node-port'), root, `${root}/`]).scenarios).toBe(3)
    expect(checkGoldens([at('node-port')]).scenarios).toBe(1)
  })

  test('shows a changed output as a unified diff', () => {
    const file = at('node-port/iptables/iptables-save')
    writeFileSync(file, read(file).replace('--dport 30080 -j KUBE-EXT', '--dport 30081 -j KUBE-EXT'))
    const report = checkGoldens([root])
    expect(isAsExpected(report)).toBe(false)
    expect(report.differences.map((difference) => difference.file)).toEqual([file])
    const shown = report.differences.map(showDifference).join('')
    expect(shown).toMatch(/^--- .*on disk\n\+\+\+ .*rendered\n@@ /)
    expect(shown).toMatch(/\n-.*--dport 30081 -j KUBE-EXT-67NZLRHBNDSAWJRO\n\+.*--dport 30080 -j/)
  })

  test.each([
    ['a byte at the end', (text: string) => `${text}\n`],
    ['a carriage return', (text: string) => text.replace('\n', '\r\n')],
    ['an empty file', () => ''],
  ])('%s is a difference', (_, change) => {
    const file = at('cluster-ip/iptables/ip6tables-save')
    writeFileSync(file, change(read(file)))
    expect(checkGoldens([root]).differences.map((difference) => difference.file)).toEqual([file])
  })

  test('a missing output is a difference', () => {
    rmSync(at('story-scale/iptables/iptables-plan.3'))
    expect(checkGoldens([root]).differences.map(showDifference)).toEqual([
      `${at('story-scale/iptables/iptables-plan.3')} is missing\n`,
    ])
  })

  test.each([
    'cluster-ip/notes.txt',
    'cluster-ip/cluster.bak',
    'cluster-ip/iptables/iptables-save.1',
    'cluster-ip/iptables/issues',
    'cluster-ip/iptables/listening',
    'cluster-ip/nftables/nft-v4',
    'story-scale/iptables/iptables-save',
    'gone/iptables/iptables-save',
  ])('%s is produced by no scenario', (name) => {
    mkdirSync(path.dirname(at(name)), { recursive: true })
    writeFileSync(at(name), '')
    const report = checkGoldens([root])
    expect(report.strays).toEqual([at(name)])
    expect(isAsExpected(report)).toBe(false)
  })

  test.each(['README.md', 'Makefile', 'cluster-ip/README.md', 'cluster-ip/flows.txt', 'story-scale/flows.2.txt'])(
    '%s may be there',
    (name) => {
      writeFileSync(at(name), '')
      expect(checkGoldens([root]).strays).toEqual([])
    },
  )

  test('--write writes what differs, removes outputs that are no more, and changes nothing else', () => {
    for (const name of ['iptables/iptables-save.9', 'iptables/issues', 'notes.txt'])
      writeFileSync(at('cluster-ip', name), 'x')
    rmSync(at('node-port/iptables/ip6tables-save'))
    append(at('cluster-ip/iptables/iptables-save'), 'x')
    const before = contents(root)
    const report = checkGoldens([root], { write: true })
    expect(report.strays.filter((file) => !report.written.has(file))).toEqual([at('cluster-ip/notes.txt')])
    const expected = new Map(before)
    for (const name of ['cluster-ip/iptables/iptables-save', 'node-port/iptables/ip6tables-save']) {
      expected.set(name, read(path.join(OWN, name)))
    }
    for (const name of ['iptables-save.9', 'issues']) expected.delete(`cluster-ip/iptables/${name}`)
    expect(contents(root)).toEqual(expected)
  })

  test('--write follows changed inputs and leaves them as they are', () => {
    const input = at('cluster-ip/cluster.yaml')
    writeFileSync(input, read(input).replaceAll('10.244.2.5', '10.244.2.99'))
    const text = read(input)
    expect(isAsExpected(checkGoldens([root], { write: true }))).toBe(true)
    expect(read(input)).toBe(text)
    expect(read(at('cluster-ip/iptables/iptables-save'))).toContain('--to-destination 10.244.2.99:8080')
    expect(checkGoldens([root])).toMatchObject({ differences: [], strays: [] })
  })

  test('--write never touches what is recorded, however it is reached', () => {
    copy('cluster-ip', 'recorded/case')
    symlinkSync(at('recorded/case'), at('linked'))
    append(at('recorded/case/iptables/iptables-save'), 'x')
    writeFileSync(at('recorded/case/iptables/issues'), 'x')
    rmSync(at('node-port/iptables/iptables-save'))
    symlinkSync(at('recorded/case/iptables/iptables-save'), at('node-port/iptables/iptables-save'))
    const before = contents(at('recorded'))
    for (const folder of [root, at('recorded/case'), at('linked')]) {
      const report = checkGoldens([folder], { write: true })
      expect(isAsExpected(report)).toBe(false)
      expect(report.differences.map(({ file }) => path.basename(file))).toContain('iptables-save')
    }
    expect(contents(at('recorded'))).toEqual(before)
    expect(read(at('node-port/iptables/iptables-save'))).toBe(read(path.join(OWN, 'node-port/iptables/iptables-save')))
  })

  test('a recorded case has no issues to compare, and may hold what else was recorded', () => {
    copy('conflict', 'recorded/case')
    for (const mode of ['iptables', 'ipvs']) rmSync(at('recorded/case', mode, 'issues'))
    for (const name of ['listening', 'sysctl', 'healthcheck']) writeFileSync(at('recorded/case/iptables', name), '')
    expect(checkGoldens([root])).toMatchObject({ differences: [], strays: [], failures: [] })
  })

  test('--summary counts distinct hunks over files', () => {
    for (const name of ['cluster-ip/iptables/iptables-save', 'cluster-ip/iptables/ip6tables-save']) {
      writeFileSync(at(name), read(at(name)).replace('-A INPUT -j KUBE-FIREWALL\n', ''))
    }
    const file = at('node-port/iptables/iptables-save')
    writeFileSync(
      file,
      read(file).replace('--dport 30080 -j', '--dport 30081 -j').replace('-A KUBE-MARK-MASQ', '-A KUBE-MARK'),
    )
    const summary = summariseDifferences(checkGoldens([root]).differences)
    expect(summary).toContain(
      `1 hunk in 2 files: ${at('cluster-ip/iptables/iptables-save')}, ${at('cluster-ip/iptables/ip6tables-save')}\n  +-A INPUT -j KUBE-FIREWALL\n`,
    )
    expect(summary).toContain(`2 hunks in ${file}:\n`)
    expect(summary.match(/KUBE-FIREWALL/g)).toHaveLength(1)
  })

  test('files without a line in common are not aligned for minutes', () => {
    const lines = (word: string) => Array.from({ length: 50_000 }, (_, index) => `${word} ${index}\n`).join('')
    const difference = { file: 'f', expected: lines('a'), rendered: lines('b') }
    expect(showDifference(difference)).toBe('f differs in more than 1000 lines\n')
    expect(summariseDifferences([difference])).toContain('1 hunk in f:')
  })

  test.each([
    ['a broken configuration', 'node-port/iptables/config.yaml', 'mode: [', 'node-port/iptables/config.yaml'],
    ['a mode that is not served', 'node-port/iptables/config.yaml', configFor('nftables'), 'not served by sluice'],
    ['a broken host', 'node-port/host.json', '[]', 'host.json: this is no host file'],
    ['an unknown node', 'node-port/iptables/config.yaml', configFor('iptables', 'node9'), 'unknown node node9'],
  ])('%s fails one scenario and not the others', (_, name, text, message) => {
    writeFileSync(at(name), text)
    const report = checkGoldens([root])
    expect(report.failures).toEqual([expect.stringContaining(message)])
    expect(report.scenarios).toBe(3)
  })

  test('without hostnameOverride, host.json and one Node nobody can know the node', () => {
    writeFileSync(at('node-port/iptables/config.yaml'), configFor('iptables'))
    rmSync(at('node-port/host.json'))
    expect(checkGoldens([at('node-port')]).failures).toEqual([])
    append(at('node-port/cluster.yaml'), '---\napiVersion: v1\nkind: Node\nmetadata: {name: node2}\n')
    expect(checkGoldens([at('node-port')]).failures).toEqual([expect.stringContaining('which node is it about?')])
  })

  test.each([
    ['nothing there', 'absent', /^can't read .*absent: ENOENT/],
    ['no scenario', 'empty', /^.*empty holds no scenario: make a folder/],
    ['no configuration', 'bare', /^.*bare has no configuration: write iptables\/config.yaml/],
    ['steps with a gap', 'gap', /^.*gap has cluster.3.yaml out of order/],
  ])('%s is one sentence', (_, name, message) => {
    for (const folder of ['empty', 'bare']) mkdirSync(at(folder))
    writeFileSync(at('bare/cluster.yaml'), '')
    copy('story-scale', 'gap')
    rmSync(at('gap/cluster.2.yaml'))
    expect(() => checkGoldens([at(name)])).toThrow(message)
  })

  test('the exit code says same, different or not rendered, and nothing is coloured for a file', async () => {
    const same = await run(root)
    expect(same).toMatchObject({ exitCode: 0, stdout: '' })
    expect(same.stderr).toMatch(/^3 scenarios, 43 outputs in [\d.]+ s\nall as expected$/)

    append(at('node-port/iptables/iptables-save'), 'x\n')
    const different = await run(root)
    expect(different).toMatchObject({ exitCode: 1 })
    expect(different.stdout).toMatch(/\n-x$/)
    expect(different.stdout).not.toContain('\u001b')
    expect(different.stderr).toContain('1 output differs')
    expect(await run('--summary', root)).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('1 hunk in') })
    expect(await run('--write', root)).toMatchObject({
      exitCode: 0,
      stdout: `wrote ${at('node-port/iptables/iptables-save')}`,
    })

    writeFileSync(at('node-port/host.json'), '[]')
    expect(await run(root)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('1 scenario failed') })
    expect(await run(at('absent'))).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^sluice: can't read [^\n]*$/),
    })
  })
})

function configFor(mode: string, node?: string): string {
  const given = read(path.join(OWN, 'node-port/iptables/config.yaml'))
  const name = node === undefined ? '' : `hostnameOverride: ${node}\n`
  return given.replace('mode: iptables', `mode: ${mode}`).replace('hostnameOverride: node1\n', name)
}

function run(...args: readonly string[]) {
  const script = path.join(import.meta.dirname, '..', '..', 'scripts', 'golden.ts')
  return execa(process.execPath, [script, ...args], { reject: false, cwd: tmpdir() })
}
