// A folder for each test of a file, which is also its HOME, and no cluster in reach.
import { afterEach, beforeEach, vi } from 'vitest'
import { type Folder, temporaryFolder } from '../support/kubeconfig-file.ts'
import { type Ended, reported } from './command.ts'

/** A Service that nothing is wrong with. */
export const GOOD = `apiVersion: v1
kind: Service
metadata: {namespace: shop, name: good}
spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}
`

export interface OwnHome {
  /** Of the test that runs. */
  readonly folder: Pick<Folder, 'path' | 'write'>
  /** What the command reported, with the folder left out of paths. */
  readonly said: (ended: Ended) => readonly string[]
}

/** For the tests that follow in the file. */
export function useOwnHome(): OwnHome {
  let current: Folder
  beforeEach(() => {
    current = temporaryFolder()
    vi.stubEnv('HOME', current.path)
    vi.stubEnv('KUBECONFIG', '')
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '')
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    current[Symbol.dispose]()
  })
  return {
    folder: {
      get path() {
        return current.path
      },
      write: (name, text) => current.write(name, text),
    },
    said: (ended) => reported(ended).map((line) => line.replaceAll(`${current.path}/`, '')),
  }
}
