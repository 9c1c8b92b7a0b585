// Kubeconfig files in a temporary folder, for tests.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface Folder extends Disposable {
  readonly path: string
  /** Writes text, or JSON, and returns the file's path. */
  readonly write: (name: string, content: unknown) => string
}

export function temporaryFolder(): Folder {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-test-'))
  return {
    path: folder,
    write: (name, content) => {
      const file = path.join(folder, name)
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o700 })
      return file
    },
    [Symbol.dispose]: () => {
      rmSync(folder, { recursive: true })
    },
  }
}

/** A kubeconfig with one context of this name. */
export function oneContext(cluster: object, user: object = {}, name = 'test'): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: `${name}-cluster`, cluster }],
    users: [{ name: `${name}-user`, user }],
    contexts: [{ name, context: { cluster: `${name}-cluster`, user: `${name}-user` } }],
    'current-context': name,
  }
}
