// Every scenario of rules-golden. The command that checks them is held in test/cli/golden.test.ts.
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkGoldens } from '../src/cli/golden/check.ts'
import { showDifference } from '../src/cli/golden/show.ts'
import { canonicalise, type Family, parseSave, printSave } from '../src/index.ts'
import { applyPlans, IPVS_SAVES } from './support/apply-ipvs-plan.ts'
import { applyRestore } from './support/apply-restore.ts'
import { GOLDEN_ROOT } from './support/golden-case.ts'
import { filesBelow, OWN_SCENARIOS as OWN, read } from './support/golden-files.ts'

const TOOLS: readonly (readonly [Family, string])[] = [
  ['ipv4', 'iptables'],
  ['ipv6', 'ip6tables'],
]

describe('rules-golden', () => {
  test('every scenario comes to the rules that are stored with it, and every file belongs to one', () => {
    const { scenarios, differences, strays, failures } = checkGoldens([GOLDEN_ROOT])
    expect(failures).toEqual([])
    expect(strays).toEqual([])
    expect(differences.map(showDifference)).toEqual([])
    expect(scenarios).toBe(118 + readdirSync(OWN).length)
  })

  test('every own scenario says what it shows and why that matters', () => {
    const inputs = filesBelow(OWN).filter((file) => /cluster(\.\d+)?\.yaml$/.test(file))
    expect(inputs.length).toBeGreaterThanOrEqual(30)
    for (const file of inputs) {
      expect([file, read(file).split('\n', 2)]).toEqual([
        file,
        [expect.stringMatching(/^# Shows: .{20,}/), expect.stringMatching(/^# Why: .{10,}/)],
      ])
    }
  })

  const plans = TOOLS.flatMap(([family, tool]) =>
    filesBelow(OWN)
      .filter((file) => path.basename(file).startsWith(`${tool}-plan.`))
      .map((file) => ({
        name: path.relative(OWN, file),
        file,
        family,
        tool,
        step: Number(path.extname(file).slice(1)),
      })),
  )

  test('there are plans', () => {
    expect(plans.length).toBeGreaterThanOrEqual(8)
  })

  test.each(plans)('$name leads from one step to the next', ({ file, family, tool, step }) => {
    const save = (number: number) => read(path.join(path.dirname(file), `${tool}-save.${number}`))
    const before = parseSave(save(step - 1), family).ruleset
    expect(printSave(canonicalise(applyRestore(before, read(file))))).toBe(save(step))
  })

  const ipvsPlans = filesBelow(OWN).filter((file) => /\/ipv4-plan\.\d+$/.test(file))

  test('there are plans of IPVS mode', () => {
    expect(ipvsPlans.length).toBeGreaterThanOrEqual(5)
  })

  test.each(ipvsPlans.map((file) => ({ file, name: path.relative(OWN, file) })))(
    '$name and its IPv6 sibling lead from one step to the next',
    ({ file }) => {
      const step = Number(path.extname(file).slice(1))
      const saves = (number: number) =>
        new Map(IPVS_SAVES.map((name) => [name, read(path.join(path.dirname(file), `${name}.${number}`))]))
      const ofBothFamilies = [file, file.replace('ipv4-plan', 'ipv6-plan')].map(read)
      expect(applyPlans(saves(step - 1), ofBothFamilies)).toEqual(saves(step))
    },
  )

  test('the folder of a mode may have a host of its own', () => {
    const host = (name: string) => read(path.join(GOLDEN_ROOT, 'recorded', 'dual-stack', name))
    expect(host('host.json')).toContain('"nfacct": true')
    expect(host('ipvs/host.json')).toContain('"nfacct": false')
  })
})
