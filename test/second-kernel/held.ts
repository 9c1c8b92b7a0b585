// What programs in the second kernel tell the tests outside: one line of JSON for each thing that holds there, or not.
import type { Family } from '../../src/model/address.ts'
import type { Comparisons } from '../traffic/simulated.ts'

export interface Held {
  readonly name: string
  /** Absent when it is not of one family. */
  readonly family?: Family
  readonly milliseconds: number
  /** Absent when it holds. */
  readonly failure?: string
  /** Of the questions that it asked with the simulator, where it is asked too. */
  readonly comparisons?: Comparisons
}

/** Does the work and writes what became of it, with what `more` says then. Never rejects. */
export async function hold(
  name: string,
  family: Family | undefined,
  work: () => Promise<void>,
  more: () => Pick<Held, 'comparisons'> = () => ({}),
): Promise<void> {
  const started = performance.now()
  let failure: string | undefined
  try {
    await work()
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
  }
  const milliseconds = Math.round(performance.now() - started)
  const held: Held = {
    name,
    milliseconds,
    ...(family && { family }),
    ...(failure !== undefined && { failure }),
    ...more(),
  }
  process.stdout.write(`${JSON.stringify(held)}\n`)
}

export function readHeld(output: string): readonly Held[] {
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Held)
}
