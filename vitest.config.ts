import { defineConfig } from 'vitest/config'

/** They use this machine's kernel or a browser, and time: one file after the other, so that none disturbs another. */
const KERNEL = [
  'test/browser/**/*.test.ts',
  'test/cli/daemon.test.ts',
  'test/daemon-kernel/**/*.test.ts',
  'test/kernel/**/*.test.ts',
  'test/traffic/**/*.test.ts',
]

/** They run in kernels of their own. */
const SECOND_KERNEL = ['test/second-kernel/**/*.test.ts']

export default defineConfig({
  test: {
    // For what hangs. A shared machine may take ten times as long as a quiet one, and no test is about that.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      { extends: true, test: { name: 'pure', include: ['test/**/*.test.ts'], exclude: [...KERNEL, ...SECOND_KERNEL] } },
      { extends: true, test: { name: 'kernel', include: KERNEL, fileParallelism: false, maxConcurrency: 3 } },
      { extends: true, test: { name: 'second-kernel', include: SECOND_KERNEL, fileParallelism: false } },
    ],
  },
})
