// The page of `sluice graph -o html` in headless Chromium, used as a person would: real clicks, real keys. Without
// Chromium it says so and is skipped, in CI it fails.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultProxyConfig } from '../../src/index.ts'
import { compile } from '../../src/iptables/compile.ts'
import { link } from '../../src/iptables/link.ts'
import { printSave } from '../../src/iptables/print.ts'
import { type Browser, startBrowser } from '../support/browser.ts'
import { manyServices, plainNode } from '../support/many-services.ts'
import {
  choose,
  chromiumOrSkip,
  DATA,
  focused,
  litArrows,
  litBoxes,
  makePage,
  openPage as open,
  pickService,
  textOf,
} from './graph-page.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-page-'))
const program = chromiumOrSkip('the page')

let browser: Browser
let url: string

const openPage = (address: string) => open(browser, address)

describe.skipIf(program === undefined)('the page', () => {
  beforeAll(async () => {
    browser = await startBrowser(program ?? '')
    url = await makePage(
      folder,
      'shop.html',
      '-A',
      '-f',
      path.join(DATA, 'cluster.yaml'),
      '--config',
      path.join(DATA, 'config.yaml'),
    )
  })
  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('lists the Services and shows the first one', async () => {
    const page = await openPage(url)
    expect(await textOf(page, '#count')).toBe('4 Services')
    expect(await textOf(page, '#name')).toBe('shop/elsewhere')
    await pickService(page, 'store/db')
    expect(await textOf(page, '#verdict')).toContain('headless')
    expect(page.problems).toEqual([])
  })

  test('lights the way of a pod to a cluster IP, with the shares', async () => {
    const page = await openPage(url)
    await pickService(page, 'shop/web')
    await choose(page, 'pod', 'cluster IP')
    expect((await litBoxes(page)).toSorted()).toEqual([
      '10.244.1.5:8080 33.3%',
      '10.244.2.5:8080 33.3%',
      '10.244.3.5:8080 33.3%',
      'KUBE-SVC-67NZLRHBNDSAWJRO',
      'cluster IP',
    ])
    expect(await litArrows(page)).toHaveLength(4)
    expect(await textOf(page, '#verdict p:nth-child(2)')).toBe(
      'dnat: shop/web:http at 10.244.1.5:8080 33.3%, 10.244.2.5:8080 33.3%, 10.244.3.5:8080 33.3%; the server sees 10.244.1.200, the client itself',
    )
  })

  test('lights what source ranges do to somebody outside, and policy Local to the node port', async () => {
    const page = await openPage(url)
    await pickService(page, 'shop/web')
    await choose(page, 'outside', 'load-balancer IP')
    expect(await litBoxes(page)).toEqual(['load-balancer IP', 'KUBE-FW-67NZLRHBNDSAWJRO', 'drop'])
    expect(await textOf(page, '#verdict')).toContain(
      '192.0.2.200 is in none of the loadBalancerSourceRanges of shop/web',
    )
    await choose(page, 'outside', 'node port')
    expect((await litBoxes(page)).toSorted()).toEqual([
      '10.244.1.5:8080',
      'KUBE-EXT-67NZLRHBNDSAWJRO',
      'KUBE-SVL-67NZLRHBNDSAWJRO',
      'node port',
    ])
    await choose(page, 'node', 'node port')
    expect(await litBoxes(page)).toContain('KUBE-SVC-67NZLRHBNDSAWJRO')
    expect(await litBoxes(page)).not.toContain('KUBE-SVL-67NZLRHBNDSAWJRO')
    const steps = await page.evaluate<string[]>(
      `[...document.querySelectorAll('#steps li')].map((step) => step.textContent)`,
    )
    expect(steps.slice(0, 2)).toEqual([
      'node port, 30080/tcp',
      'KUBE-EXT-67NZLRHBNDSAWJRO, externalTrafficPolicy: Local, masquerade: from this node',
    ])
  })

  test('says what refuses', async () => {
    const page = await openPage(url)
    await pickService(page, 'shop/empty')
    await choose(page, 'pod', 'cluster IP')
    expect(await litBoxes(page)).toEqual(['cluster IP', 'reject'])
    await pickService(page, 'shop/elsewhere')
    await choose(page, 'outside', 'node port')
    expect(await litBoxes(page)).toEqual(['node port', 'KUBE-EXT-ECBJC4C3ZTYKILZE', 'drop'])
    expect(await textOf(page, '#verdict')).toContain(
      'externalTrafficPolicy is Local and no endpoint of shop/elsewhere is on this node',
    )
  })

  test('is used by keys alone', async () => {
    const page = await openPage(url)
    await page.press('/')
    expect(await focused(page)).toBe('search')
    await page.type('kube-fw-67nz')
    expect(await textOf(page, '#count')).toBe('1 of 4 Services')
    await page.press('ArrowDown')
    await page.press('Enter')
    expect(await textOf(page, '#name')).toBe('shop/web')
    expect(await focused(page)).toBe('list')
    expect(await page.evaluate(`document.querySelectorAll('.found').length`)).toBe(1)
    await page.press('Enter')
    expect(await focused(page)).toBe('client=pod')
    for (const client of ['node', 'other node', 'outside']) {
      await page.press('ArrowRight')
      expect(await focused(page)).toBe(`client=${client}`)
    }
    await page.press('Tab')
    await page.press('ArrowRight')
    await page.press('ArrowRight')
    expect(await focused(page)).toBe('target=2')
    expect(await litBoxes(page)).toEqual(['load-balancer IP', 'KUBE-FW-67NZLRHBNDSAWJRO', 'drop'])
    await page.press('Tab')
    expect(await focused(page)).toBe('drawing')
    await page.press('/')
    await page.press('Escape')
    expect(await textOf(page, '#count')).toBe('4 Services')
    await page.press('Escape')
    expect(await focused(page)).toBe('list')
    await page.press('End')
    expect(await textOf(page, '#name')).toBe('store/db')
    await page.press('Home')
    expect(await textOf(page, '#name')).toBe('shop/elsewhere')
    expect(page.problems).toEqual([])
  })

  test('tells assistive technology what it shows', async () => {
    const page = await openPage(url)
    const roles = await page.evaluate<string[]>(
      `[...document.querySelectorAll('[role]')].map((part) => part.getAttribute('role') + ' ' + (part.getAttribute('aria-label') ?? part.id))`,
    )
    expect(roles).toEqual(
      expect.arrayContaining(['listbox Services', 'radiogroup Client', 'radiogroup Target', 'status verdict']),
    )
    expect(
      await page.evaluate(
        `document.getElementById(document.querySelector('#list').getAttribute('aria-activedescendant')).textContent`,
      ),
    ).toContain('shop/elsewhere')
    expect(await page.evaluate(`document.querySelector('[aria-selected=true]').getAttribute('aria-setsize')`)).toBe('4')
  })

  test('is dark where the person wants it dark', async () => {
    const page = await openPage(url)
    const ground = () => page.evaluate<string>(`getComputedStyle(document.body).backgroundColor`)
    await page.setColours('light')
    expect(await ground()).toBe('rgb(255, 255, 255)')
    await page.setColours('dark')
    expect(await ground()).toBe('rgb(20, 22, 26)')
  })

  test('asks for nothing, and could not', async () => {
    const page = await openPage(url)
    await pickService(page, 'shop/web')
    await page.evaluate(`fetch('https://example.com/').catch(() => {})`)
    await page.evaluate(
      `new Promise((resolve) => { const image = new Image(); image.onerror = resolve; image.src = 'https://example.com/x.png'; document.body.append(image) })`,
    )
    expect(page.requests()).toEqual([url])
    expect(page.problems.join()).toContain('Content Security Policy')
  })

  test('runs nothing and shows everything of hostile text', async () => {
    const attack = `</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>`
    const dump = path.join(folder, 'hostile.save')
    writeFileSync(
      dump,
      [
        '*nat',
        ':PREROUTING ACCEPT [0:0]',
        ':OUTPUT ACCEPT [0:0]',
        ':KUBE-SERVICES - [0:0]',
        ':KUBE-SVC-<b>x - [0:0]',
        '-A PREROUTING -j KUBE-SERVICES',
        '-A OUTPUT -j KUBE-SERVICES',
        `-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "a/b:c ${attack} cluster IP" -m tcp --dport 80 -j KUBE-SVC-<b>x`,
        '-A KUBE-SVC-<b>x -i {0}<i> -j KUBE-MARK-MASQ',
        'COMMIT',
        '*filter',
        ':KUBE-SERVICES - [0:0]',
        ':FORWARD ACCEPT [0:0]',
        '-A FORWARD -j KUBE-SERVICES',
        `-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "a/b:c ${attack}{1}" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable`,
        'COMMIT',
        '',
      ].join('\n'),
    )
    const page = await openPage(await makePage(folder, 'hostile.html', '-A', '--dump', dump))
    await choose(page, 'outside', 'cluster IP')
    expect(await textOf(page, '#drawing')).toContain(`${attack}{1}`)
    expect(await page.evaluate(`window.hacked`)).toBeUndefined()
    expect(await page.evaluate(`document.querySelectorAll('img, b, i').length`)).toBe(0)
    expect(page.problems).toEqual([])
  })

  test('has ten thousand Services, and makes rows only for what can be seen', async () => {
    const rules = link(compile(manyServices(10_000, 5), defaultProxyConfig(), plainNode(), 'ipv4'))
    const dump = path.join(folder, 'many.save')
    writeFileSync(dump, printSave(rules))
    const page = await openPage(await makePage(folder, 'many.html', '-A', '--dump', dump))
    expect(await textOf(page, '#count')).toBe('10000 Services')
    await page.click('#list')
    await page.press('End')
    expect(await textOf(page, '#name')).toBe('bench/svc09999')
    expect(await page.evaluate(`document.querySelectorAll('[role=option]').length`)).toBeLessThan(60)
    await choose(page, 'outside', 'cluster IP')
    expect(await litBoxes(page)).toHaveLength(7)
    await page.press('/')
    await page.type('svc04567')
    expect(await textOf(page, '#count')).toBe('1 of 10000 Services')
    await page.press('Enter')
    expect(await textOf(page, '#name')).toBe('bench/svc04567')
    expect((await litBoxes(page)).filter((box) => box.endsWith(' 20%'))).toHaveLength(5)
    expect(page.problems).toEqual([])
  }, 180_000)
})
