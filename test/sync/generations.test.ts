import { describe, expect, test } from 'vitest'
import { NetlinkError } from '../../src/host/hands.ts'
import { createGenerations } from '../../src/sync/generations.ts'

function createKernel() {
  const kernel = { count: 7 }
  return { kernel, generations: createGenerations(async () => kernel.count) }
}

describe('the count of transactions', () => {
  test('stays the same while only we write, and is another one after a stranger did', async () => {
    const { kernel, generations } = createKernel()
    const before = await generations.look()
    await generations.write(3, async () => {
      kernel.count += 3
    })
    expect(await generations.look()).toBe(before)
    kernel.count += 1
    const after = await generations.look()
    expect(after).not.toBe(before)
    expect(await generations.look()).toBe(after)
  })

  test('shows a stranger who wrote while we did, and one whose write we mistook for ours that failed', async () => {
    const { kernel, generations } = createKernel()
    const before = await generations.look()
    await generations.write(1, async () => {
      kernel.count += 2
    })
    const after = await generations.look()
    expect(after).not.toBe(before)
    const failing = generations.write(1, async () => {
      kernel.count += 1
      throw new Error('refused')
    })
    await expect(failing).rejects.toThrow('refused')
    expect(await generations.look()).not.toBe(after)
  })

  test('adds up what both families write at once, and waits for both before it judges', async () => {
    const { kernel, generations } = createKernel()
    const before = await generations.look()
    const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const writes = [generations.write(2, () => one.promise), generations.write(1, () => other.promise)]
    kernel.count += 2
    one.resolve()
    const looked = generations.look()
    kernel.count += 1
    other.resolve()
    await Promise.all(writes)
    expect(await looked).toBe(before)
    expect(await generations.look()).toBe(before)
  })

  test('does not tell where the kernel refuses, and a lost answer counts as a stranger', async () => {
    const refusing = createGenerations(() => Promise.reject(new NetlinkError('NO_NETLINK', 'no addon')))
    expect(await refusing.look()).toBeUndefined()
    expect(await refusing.write(1, async () => 'written')).toBe('written')
    let lost = false
    const losing = createGenerations(async () => {
      if (lost) throw new NetlinkError('TIMEOUT', 'no answer')
      return 1
    })
    const before = await losing.look()
    lost = true
    expect(await losing.look()).not.toBe(before)
  })
})
