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
    testTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'pure', include: ['test/**/*.test.ts'], exclude: KERNEL } },
      { extends: true, test: { name: 'kernel', include: KERNEL, fileParallelism: false, hookTimeout: 120_000 } },
    ],
  },
})
