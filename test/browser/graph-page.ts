// What tests of the page of `sluice graph -o html` do with it: make it, choose in it by clicking, read what it shows.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { sluice } from '../cli/command.ts'
import { type Browser, findChromium, type Page } from '../support/browser.ts'

export const DATA = path.join(import.meta.dirname, '..', 'data', 'graph')

/** The browser's program. Without it these tests are to be skipped, which is printed; in CI a test of its own fails. */
export function chromiumOrSkip(what: string): string | undefined {
  const program = findChromium()
  if (program === undefined) {
    process.stderr.write(`SKIPPED: ${what}: chromium is not installed (Debian: apt-get install chromium)\n`)
  }
  test.runIf(process.env['CI'] === 'true')(`${what} is tested in CI`, () => {
    expect(program).toBeDefined()
  })
  return program
}

/** Writes the page that these words make. */
export async function makePage(folder: string, name: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sluice(['graph', ...args, '-o', 'html'])
  if (code !== 0) throw new Error(stderr)
  const file = path.join(folder, name)
  writeFileSync(file, stdout)
  return pathToFileURL(file).href
}

export async function openPage(browser: Browser, address: string): Promise<Page> {
  const page = await browser.openPage()
  await page.goto(address)
  return page
}

/** First lines of the lit boxes from left to right and top to bottom, with their shares. */
export const litBoxes = (page: Page) =>
  page.evaluate<readonly string[]>(`[...document.querySelectorAll('#drawing .node.lit')].map((group) =>
    (group.querySelector('.first').textContent + ' ' + group.querySelector('.share').textContent).trim())`)

export const litArrows = (page: Page) =>
  page.evaluate<readonly string[]>(
    `[...document.querySelectorAll('#drawing .arrow.lit')].map((group) => group.dataset.edge)`,
  )

export const textOf = (page: Page, selector: string) =>
  page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).textContent`)

export const focused = (page: Page) =>
  page.evaluate<string>(`document.activeElement.id || document.activeElement.name + '=' + document.activeElement.value`)

/** Chooses by clicking: `target` is a piece of its label. */
export async function choose(page: Page, client: string, target: string): Promise<void> {
  await page.click(`input[name=client][value="${client}"]`)
  const position = await page.evaluate<number>(
    `[...document.querySelectorAll('#targets label')].findIndex((label) => label.textContent.includes(${JSON.stringify(target)}))`,
  )
  await page.click(`input[name=target][value="${position}"]`)
}

export async function pickService(page: Page, name: string): Promise<void> {
  const id = await page.evaluate<string>(
    `[...document.querySelectorAll('[role=option]')].find((row) => row.firstChild.textContent === ${JSON.stringify(name)}).id`,
  )
  await page.click(`#${id}`)
}
