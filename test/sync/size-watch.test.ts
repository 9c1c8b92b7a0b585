// How iptables-legacy's strangers are noticed by numbers of entries.
import { describe, expect, test } from 'vitest'
import { compile, defaultProxyConfig, link, type Program } from '../../src/index.ts'
import { createSizeWatch } from '../../src/sync/size-watch.ts'
import type { TableSizes } from '../../src/sync/table-sizes.ts'
import { manyServices, plainNode } from '../support/many-services.ts'

const FOREIGN = 31

/** The kernel's count by the rules themselves: a rule is an entry, and so are a chain's name and its end. */
function entriesOf(program: Program): number {
  let entries = 0
  for (const chains of link(program).tables.values()) {
    for (const [name, { rules }] of chains) entries += rules.length + (name.startsWith('KUBE-') ? 2 : 0)
  }
  return entries
}

function programOf(services: number, endpoints = 2): Program {
  return compile(manyServices(services, endpoints), defaultProxyConfig(), plainNode(), 'ipv4')
}

async function createPlace(program = programOf(3)) {
  let believed: Program | undefined = program
  let entries = FOREIGN + entriesOf(program)
  let size = 0
  let isLeft = true
  let canAsk = true
  const sizes = async (): Promise<TableSizes | undefined> =>
    canAsk ? { text: `nat ${entries} ${size}`, entries } : undefined
  const watch = createSizeWatch({ sizes, believed: () => believed, credit: { isLeft: () => isLeft } })
  const verify = await watch.beforeReading()
  verify()
  return {
    watch,
    stranger: (more: number, bytes = more) => {
      entries += more
      size += bytes
    },
    ownWrite: (next: Program) => {
      entries += entriesOf(next) - entriesOf(believed ?? next)
      size += 1
      believed = next
      watch.wrote()
    },
    poor: () => {
      isLeft = false
    },
    deaf: () => {
      canAsk = false
    },
  }
}

describe('watching the sizes of tables', () => {
  test.for([programOf(0), programOf(9), programOf(2, 0), programOf(40, 7)].map((next) => [next] as const))(
    'reads nothing while only we write, whatever it is',
    async ([next]) => {
      const { watch, ownWrite } = await createPlace()
      expect(await watch.look()).toBe('unchanged')
      ownWrite(next)
      expect(await watch.look()).toBe('unchanged')
      expect(await watch.look()).toBe('unchanged')
    },
  )

  test('reads everything when a stranger adds or removes one entry, until that is verified', async () => {
    for (const more of [1, -1]) {
      const { watch, stranger } = await createPlace()
      stranger(more)
      expect(await watch.look()).toBe('read')
      expect(await watch.look()).toBe('read')
      const verify = await watch.beforeReading()
      verify()
      expect(await watch.look()).toBe('unchanged')
    }
  })

  test('reads everything when an entry has another length, while we write nothing', async () => {
    const { watch, stranger } = await createPlace()
    stranger(0, 8)
    expect(await watch.look()).toBe('read')
  })

  test('notices a stranger between two changes of ours', async () => {
    const { watch, stranger, ownWrite } = await createPlace()
    ownWrite(programOf(5))
    stranger(-1)
    ownWrite(programOf(4))
    expect(await watch.look()).toBe('read')
  })

  test('knows the tables again when we repaired what a stranger removed', async () => {
    const { watch, stranger, ownWrite } = await createPlace()
    stranger(-7)
    expect(await watch.look()).toBe('read')
    stranger(7)
    ownWrite(programOf(3))
    expect(await watch.look()).toBe('unchanged')
  })

  test('a reading before a change of ours verifies nothing', async () => {
    const { watch, stranger, ownWrite } = await createPlace()
    stranger(3)
    const verify = await watch.beforeReading()
    ownWrite(programOf(6))
    verify()
    expect(await watch.look()).toBe('read')
  })

  test('waits for credit, and says when the kernel does not tell', async () => {
    const { watch, stranger, poor, deaf } = await createPlace()
    stranger(1)
    poor()
    expect(await watch.look()).toBe('later')
    deaf()
    expect(await watch.look()).toBe('unknown')
  })
})
