import { defineConfig } from 'vitest/config'

/** They use a kernel, and time: one file after the other, so that none disturbs another. */
const KERNEL = [
  'test/cli/daemon.test.ts',
  'test/daemon-kernel/**/*.test.ts',
  'test/kernel/**/*.test.ts',
  'test/second-kernel/**/*.test.ts',
  'test/traffic/**/*.test.ts',
]

export default defineConfig({
  test: {
    // For what hangs. A shared machine may take ten times as long as a quiet one, and no test is about that.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      { extends: true, test: { name: 'pure', include: ['test/**/*.test.ts'], exclude: KERNEL } },
      { extends: true, test: { name: 'kernel', include: KERNEL, fileParallelism: false, maxConcurrency: 3 } },
    ],
  },
})
