import { describe, expect, test } from 'vitest'
import { CommandError, type CommandFailure } from '../../src/host/exec.ts'
import type { HandsCommand } from '../../src/host/hands.ts'
import { createTableSizes, readSizes } from '../../src/sync/table-sizes.ts'

// What Linux 6.18 says of tables with two chains of a user.
const ANSWER = `nat 27 0 152 4294967295 304 456 0 152 4294967295 304 456 7 1112
filter missing
mangle 31 0 152 304 456 608 0 152 304 456 608 6 936
`

function handsThat(answer: () => string) {
  const asked: HandsCommand[] = []
  return {
    asked,
    run: async (command: HandsCommand) => {
      asked.push(command)
      return { stdout: answer(), stderr: '', exitCode: 0 }
    },
  }
}

function failing(failure: CommandFailure) {
  return handsThat(() => {
    throw new CommandError(['perl'], failure, '')
  })
}

describe('the sizes of tables', () => {
  test('are read from what perl prints, also where a table is not in use', () => {
    expect(readSizes(ANSWER, ['nat', 'filter', 'mangle'])).toEqual({ text: ANSWER, entries: 13 })
  })

  test.for([
    '',
    'nat 1 2 3\n',
    'filter missing\n',
    'nat 27 0 152 4294967295 304 456 0 152 4294967295 304 456 x 1112\n',
  ])('are not guessed from %j', (text) => {
    expect(() => readSizes(text, ['nat'])).toThrow(/perl/)
  })

  test.for(['missing', 'not started', 'exit'] as const)('are asked for once where that failed as %s', async (kind) => {
    const failures = {
      missing: { kind: 'missing' },
      'not started': { kind: 'not started', reason: 'EACCES' },
      exit: { kind: 'exit', exitCode: 1 },
    } as const
    const hands = failing(failures[kind])
    const read = createTableSizes(hands, 'ipv4')
    expect(await read(['nat'])).toBeUndefined()
    expect(await read(['nat'])).toBeUndefined()
    expect(hands.asked.length).toBe(1)
  })

  test('are asked for again after a question that took too long', async () => {
    const hands = failing({ kind: 'timeout', milliseconds: 1 })
    const read = createTableSizes(hands, 'ipv4')
    await expect(read(['nat'])).rejects.toThrow('perl')
    await expect(read(['nat'])).rejects.toThrow('perl')
    expect(hands.asked.length).toBe(2)
  })
})
