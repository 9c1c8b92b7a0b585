// Names, comments and files are anybody's text. None of it becomes markup, script or a statement of Mermaid.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeMermaid, printMermaid } from '../../src/picture/mermaid.ts'
import { jsonForScript, printPage } from '../../src/picture/page.ts'
import type { Picture } from '../../src/picture/picture.ts'
import { printSvg } from '../../src/picture/svg.ts'
import { collectNames, putIn, takeOut } from '../../src/picture/tokens.ts'

const ATTACK = `"]; click n0 "javascript:alert(1)"\n</script><script>alert(1)</script> & 'x' \`md\` #quot; {0} end`

const PICTURE: Picture = {
  title: ATTACK,
  nodes: [
    { kind: 'chain', lines: [ATTACK, ATTACK], column: 0 },
    { kind: 'endpoint', lines: [ATTACK], column: 1 },
  ],
  edges: [{ from: 0, to: 1, label: ATTACK }],
}

describe('hostile text', () => {
  test('is only text in Mermaid', () => {
    for (const pictures of [[{ picture: PICTURE }], [{ picture: PICTURE }, { picture: PICTURE }]]) {
      const lines = printMermaid(pictures).split('\n')
      for (const line of lines) {
        expect(line).toMatch(
          /^(?:flowchart LR| *%% [\w .:/?-]*| *(?:subgraph s\d+\["[^"<>`]*"\]|end|n\d+[[({]+"(?:[^"<>`]|<br>)*"[\])}]+|n\d+ -->\|"[^"<>`]*"\| n\d+|class .*|classDef .*)|)$/,
        )
      }
    }
  })

  test('of any kind leaves only harmless characters in Mermaid', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeMermaid(text)).toMatch(/^(?:[\w .,:/()%+=!?-]|#\d+;)*$/)
      }),
    )
  })

  test('is only text in SVG', () => {
    const svg = printSvg([{ picture: PICTURE }], ATTACK)
    const tags = new Set([...svg.matchAll(/<\/?([a-z]+)/g)].map(([, tag]) => tag ?? ''))
    expect([...tags].toSorted()).toEqual(['g', 'path', 'rect', 'style', 'svg', 'text', 'title', 'tspan'])
    expect(svg).toContain('&#60;script&#62;alert(1)&#60;/script&#62;')
    expect(svg.replaceAll(/&#\d+;/g, '')).not.toContain('&')
  })

  test('is only text in the page', () => {
    const content = {
      label: ATTACK,
      node: ATTACK,
      clients: [],
      forms: [{ svg: ATTACK, entrances: [], ways: [] }],
      services: [[ATTACK, [[0, ATTACK]]]] as never,
    }
    const template =
      '<title>@@title@@</title><meta content="@@policy@@"><script type="application/json">@@content@@</script>'
    const page = printPage(content, { template, style: '', script: '', styleHash: 'sha256-a', scriptHash: 'sha256-b' })
    expect(page.match(/<[^>]*>/g)).toEqual([
      '<title>',
      '</title>',
      expect.stringMatching(/^<meta /),
      '<script type="application/json">',
      '</script>',
    ])
    const json = /json">(.*)<\/script>$/s.exec(page)?.[1] ?? ''
    expect(JSON.parse(json)).toEqual(content)
  })

  test('that looks like a place of the template stays what it is', () => {
    const content = { label: '@@script@@', node: '', clients: [], forms: [], services: [] }
    const parts = { template: '@@title@@ @@content@@', style: '', script: 'run()', styleHash: '', scriptHash: '' }
    expect(printPage(content, parts)).not.toContain('run()')
  })

  test('of any kind survives JSON within a script', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = jsonForScript(text)
        expect(json).not.toMatch(/[<>&\u2028\u2029]/)
        expect(JSON.parse(json)).toBe(text)
      }),
    )
  })

  test('of any kind is the same after names were taken out and put in', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.array(fc.constantFrom('10.0.0.1', 'a/b', 'a/b:c', '{0}', '{', '[fd00::1]:80', '80')),
        (text, words) => {
          const names = collectNames(words)
          const whole = `${words.join(' ')}: ${text} {1} {{`
          expect(putIn(takeOut(whole, names), names.list)).toBe(whole)
        },
      ),
    )
  })
})
