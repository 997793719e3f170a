import { generateKeyPairSync } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { DeliveryTarget } from '@behalf/core'
import { journalSink, readJournal, type ShipProgress, shipJournal } from '@behalf/journal'
import { ensureStream, natsTarget } from '@behalf/nats'
import { migrate, postgresTarget } from '@behalf/postgres'
import { testEvent } from '@behalf/testing'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { storedMessages } from '../packages/nats/test/support/stored.js'
import { startNatsServer } from './support/nats-server.js'
import { describeWith } from './support/needs-program.js'
import { startPostgres } from './support/postgres-server.js'

/** Outages of each kind; `BEHALF_SHIPPING_ROUNDS=100` for a long night. */
const ROUNDS = Number(process.env['BEHALF_SHIPPING_ROUNDS'] ?? 2)
const TIMEOUT_MILLISECONDS = 60_000 + ROUNDS * 10_000
/** Records that are shipped between two outages. */
const RECORDS_BETWEEN = 300
/** Most events that the journal is ahead of the target: what is written meanwhile, and no more. */
const MOST_AHEAD = 600
/** How long a target waits for a server that does not answer. */
const PATIENCE_MILLISECONDS = 150

/** A server, as far as this test goes. */
interface Outages {
  readonly target: () => DeliveryTarget
  kill(): Promise<void>
  restart(): Promise<void>
  pause(): void
  resume(): void
  /** What is there, in its order. */
  bodies(): Promise<readonly string[]>
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-shipping-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A journal that is written to as it is shipped, with many small segments. */
function writingJournal() {
  const directory = join(temporaryDirectory(), 'journal')
  const { privateKey } = generateKeyPairSync('ed25519')
  const sink = journalSink({
    directory,
    signingKey: privateKey,
    maxSegmentBytes: 200_000,
    checkpointRecords: 100,
    commitDeadlineMilliseconds: 30_000,
  })
  let written = 0
  return {
    directory,
    async write(events: number) {
      written += events
      await Promise.all(Array.from({ length: events }, () => sink.write(testEvent())))
    },
    written: () => written,
    close: () => sink.close(),
    async lines() {
      const lines: string[] = []
      for await (const { line } of readJournal(directory)) lines.push(line)
      return lines
    },
  }
}

/** A shipper that can be stopped and started again, and whose progress can be waited for. */
function restartableShipper(directory: string, createTarget: () => DeliveryTarget) {
  const cursorFile = join(temporaryDirectory(), 'cursor.json')
  let waiting: (() => void)[] = []
  let last: ShipProgress | null = null
  let failures = 0
  let running: { readonly ended: Promise<unknown>; readonly stop: () => Promise<void> } | null = null

  function onProgress(progress: ShipProgress): void {
    last = progress
    if (progress.error !== null) failures++
    const told = waiting
    waiting = []
    for (const resolve of told) resolve()
  }

  function run(once: boolean) {
    const abort = new AbortController()
    const target = createTarget()
    const ended = shipJournal({
      directory,
      target,
      cursorFile,
      once,
      onProgress,
      signal: abort.signal,
      batchRecords: 60,
      maxAttempts: 0,
      firstBackOffMilliseconds: 5,
      longestBackOffMilliseconds: 50,
      pollMilliseconds: 5,
    }).finally(() => target.close?.())
    ended.catch(() => {}) // seen where it is waited for
    return {
      ended,
      async stop() {
        abort.abort()
        await ended
      },
    }
  }

  const nextProgress = () => new Promise<void>((resolve) => waiting.push(resolve))
  return {
    cursorFile,
    start() {
      running = run(false)
    },
    async stop() {
      await running?.stop()
      running = null
    },
    once: () => run(true).ended,
    shipped: () => last?.nextSequence ?? 0,
    failures: () => failures,
    /** Waits until it holds; fails where shipping ends before. */
    async until(holds: () => boolean) {
      while (!holds()) await Promise.race([nextProgress(), running?.ended])
    },
    nextProgress,
  }
}

/** Keeps writing, a bit ahead of what is shipped, until it is told to stop. */
function keepWriting(journal: ReturnType<typeof writingJournal>, shipper: ReturnType<typeof restartableShipper>) {
  let stopped = false
  async function write(): Promise<void> {
    while (!stopped) {
      if (journal.written() - shipper.shipped() < MOST_AHEAD) await journal.write(25)
      else await shipper.nextProgress()
    }
  }
  const writing = write()
  return {
    async stop() {
      stopped = true
      await Promise.race([writing, shipper.once()]) // makes progress, for who waits for it
      await writing
    },
  }
}

/** The journal's lines and what arrived of them, after as many outages of each kind, and restarts of the shipper, as asked for. */
async function shipThroughOutages(server: Outages) {
  const journal = writingJournal()
  const shipper = restartableShipper(journal.directory, server.target)
  shipper.start()
  const writer = keepWriting(journal, shipper)
  const olderCursor = `${shipper.cursorFile}-older`

  async function outage(round: number, take: () => Promise<void> | void, bring: () => Promise<void> | void): Promise<void> {
    const from = shipper.shipped()
    await shipper.until(() => shipper.shipped() >= from + RECORDS_BETWEEN)
    for (let turns = (7 * round) % 20; turns > 0; turns--) await turn()
    const failures = shipper.failures()
    await take()
    await shipper.until(() => shipper.failures() > failures) // it was felt
    await bring()
  }

  /** As after a crash: the shipper begins again with a cursor that says less than what was acknowledged. */
  async function restartBehind(): Promise<void> {
    await shipper.stop()
    if (existsSync(olderCursor)) copyFileSync(olderCursor, shipper.cursorFile)
    copyFileSync(shipper.cursorFile, olderCursor)
    shipper.start()
  }

  for (let round = 0; round < ROUNDS; round++) {
    await outage(round, server.kill, server.restart)
    await outage(round, server.pause, server.resume)
    await restartBehind()
  }
  await shipper.stop()
  await writer.stop()
  await journal.close()
  await shipper.once()
  return { lines: await journal.lines(), bodies: await server.bodies() }
}

function expectAllOnceInOrder({
  lines,
  bodies,
}: {
  readonly lines: readonly string[]
  readonly bodies: readonly string[]
}): void {
  expect(lines.length).toBeGreaterThan(2 * ROUNDS * RECORDS_BETWEEN)
  const firstDifference = lines.findIndex((line, index) => line !== bodies[index])
  expect({ count: bodies.length, firstDifference }).toEqual({ count: lines.length, firstDifference: -1 })
}

describeWith('nats-server', 'shipping to NATS', () => {
  test('through kills, pauses and restarts: nothing is lost, nothing is there twice, order holds', {
    timeout: TIMEOUT_MILLISECONDS,
  }, async () => {
    const server = await startNatsServer()
    onTestFinished(() => server.stop())
    await ensureStream({ servers: server.url, name: 'audit', replicas: 1 })
    const options = {
      servers: server.url,
      connectTimeoutMilliseconds: PATIENCE_MILLISECONDS,
      ackTimeoutMilliseconds: PATIENCE_MILLISECONDS,
    }
    const outages: Outages = {
      ...server,
      target: () => natsTarget(options),
      bodies: async () => (await storedMessages(server.url, 'behalf.audit')).map(({ body }) => body),
    }
    expectAllOnceInOrder(await shipThroughOutages(outages))
  })
})

describeWith('postgres', 'shipping to PostgreSQL', () => {
  test('through kills, pauses and restarts: nothing is lost, nothing is there twice, order holds', {
    timeout: TIMEOUT_MILLISECONDS,
  }, async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    const connectionString = server.url()
    await migrate({ connectionString })
    const options = {
      connectionString,
      connectTimeoutMilliseconds: PATIENCE_MILLISECONDS,
      statementTimeoutMilliseconds: PATIENCE_MILLISECONDS,
    }
    const outages: Outages = {
      target: () => postgresTarget(options),
      kill: server.kill,
      restart: server.start,
      pause: server.pause,
      resume: server.resume,
      async bodies() {
        const client = new pg.Client({ connectionString })
        await client.connect()
        try {
          const { rows } = await client.query<{ body: string }>('select body from behalf_audit order by chain, sequence')
          return rows.map(({ body }) => body)
        } finally {
          await client.end()
        }
      },
    }
    expectAllOnceInOrder(await shipThroughOutages(outages))
  })
})
