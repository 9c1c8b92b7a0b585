// The page of `sluice graph -o html` in IPVS mode, and in windows that are too narrow for its picture, in headless
// Chromium with real clicks.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Browser, startBrowser } from '../support/browser.ts'
import { choose, chromiumOrSkip, DATA, litArrows, litBoxes, makePage, pickService } from './graph-page.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-page-ipvs-'))
const program = chromiumOrSkip('the page in IPVS mode')
const pages = { iptables: '', ipvs: '' }
const CONFIGS = { iptables: 'config.yaml', ipvs: 'config-ipvs.yaml' } as const
const MODES = ['iptables', 'ipvs'] as const

let browser: Browser

describe.skipIf(program === undefined)('the page', () => {
  beforeAll(async () => {
    browser = await startBrowser(program ?? '')
    for (const mode of MODES) {
      const config = path.join(DATA, CONFIGS[mode])
      pages[mode] = await makePage(
        folder,
        `${mode}.html`,
        '-A',
        '-f',
        path.join(DATA, 'cluster.yaml'),
        '--config',
        config,
      )
    }
  })
  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('lights the way through sets and virtual servers in IPVS mode', async () => {
    const page = await browser.openPage()
    await page.goto(pages.ipvs)
    await pickService(page, 'shop/web')
    await choose(page, 'outside', 'cluster IP')
    expect((await litBoxes(page)).toSorted()).toEqual([
      '10.244.1.5:8080 33.3%',
      '10.244.2.5:8080 33.3%',
      '10.244.3.5:8080 33.3%',
      'KUBE-CLUSTER-IP',
      'cluster IP',
      'virtual server',
    ])
    expect(await litArrows(page)).toHaveLength(5)
    await choose(page, 'outside', 'load-balancer IP')
    expect(await litBoxes(page)).toEqual([
      'load-balancer IP',
      'KUBE-LOAD-BALANCER-LOCAL',
      'KUBE-LOAD-BALANCER-FW',
      'drop',
    ])
    await choose(page, 'pod', 'node port')
    expect((await litBoxes(page)).toSorted()).toEqual([
      '10.244.1.5:8080',
      'KUBE-NODE-PORT-LOCAL-TCP',
      'node port',
      'virtual server',
    ])
    await pickService(page, 'shop/empty')
    await choose(page, 'pod', 'cluster IP')
    expect(await litBoxes(page)).toEqual(['cluster IP', 'KUBE-CLUSTER-IP', 'virtual server', 'reject'])
    expect(page.problems).toEqual([])
  })

  test.each(MODES)('shows where the way ends, in a window that is too narrow for the picture of %s', async (mode) => {
    for (const [width, fits] of [
      [1280, true],
      [800, false],
    ] as const) {
      const page = await browser.openPage({ width, height: 800 })
      await page.goto(pages[mode])
      await pickService(page, 'shop/web')
      await choose(page, 'pod', 'cluster IP')
      const cutOff = await page.evaluate<readonly string[]>(`(() => {
        const frame = document.getElementById('drawing').getBoundingClientRect()
        return [...document.querySelectorAll('#drawing .node.lit')].filter((group) => {
          const box = group.getBoundingClientRect()
          return box.right > frame.right || box.left < frame.left
        }).map((group) => group.querySelector('.first').textContent)
      })()`)
      expect(cutOff.filter((box) => box.startsWith('10.244.'))).toEqual([])
      expect(cutOff.length === 0).toBe(fits)
      expect(await page.evaluate(`document.documentElement.scrollWidth <= innerWidth`)).toBe(true)
      // Texts of boxes are 12 px high before the drawing is scaled.
      const scale = await page.evaluate<number>(
        `(() => { const svg = document.querySelector('#drawing svg'); return svg.getBoundingClientRect().width / svg.viewBox.baseVal.width })()`,
      )
      expect(scale).toBeGreaterThanOrEqual(0.895)
    }
  })
})
