import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { memoryDirectory } from './test/support/memory-directory.js'

const source = (path: string) => fileURLToPath(new URL(`packages/${path}`, import.meta.url))

const SUITES = ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts']

const AGAIN = [
  'test/{corpus,differential,parity,cached-answers}.test.ts',
  'test/corpus/*.test.ts',
  'packages/core/test/{audit,rules,report-mode}.test.ts',
]

export default defineConfig({
  resolve: {
    // Tests run on the sources: one core for everybody, and stack traces that name the line.
    alias: [
      { find: '@behalf/core/adapter', replacement: source('core/src/adapter.ts') },
      { find: '@behalf/core/inspect', replacement: source('core/src/inspect.ts') },
      { find: '@behalf/core/mappings', replacement: source('core/src/mappings/index.ts') },
      { find: '@behalf/core/sink-kit', replacement: source('core/src/sink-kit.ts') },
      { find: '@behalf/core/issuers', replacement: source('core/src/issuers/index.ts') },
      { find: '@behalf/express/request', replacement: source('express/src/request.ts') },
      {
        find: /^@behalf\/(core|express|journal|koa|nats|opentelemetry|pino|postgres|redis|testing)$/,
        replacement: source('$1/src/index.ts'),
      },
    ],
  },
  test: {
    projects: [
      { extends: true, test: { name: 'as it is', include: SUITES } },
      // The same suites with everything switched on that a server can check of a sender: nothing else may come of them.
      { extends: true, test: { name: 'sender constraint', include: AGAIN, env: { BEHALF_SENDER_CONSTRAINT: 'on' } } },
      // And with everything that can end a token before its time.
      { extends: true, test: { name: 'endings', include: AGAIN, env: { BEHALF_ENDINGS: 'on' } } },
      // And with every token encrypted for the API.
      { extends: true, test: { name: 'encryption', include: AGAIN, env: { BEHALF_ENCRYPTION: 'on' } } },
    ],
    globalSetup: 'test/support/memory-directory.ts',
    env: memoryDirectory === undefined ? {} : { TMPDIR: memoryDirectory },
    maxWorkers: '100%', // both cores of a small machine: the suite is bound by signatures
    // Only there so that a hang ends: a busy machine takes many times as long as an idle one.
    testTimeout: 600_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
})
