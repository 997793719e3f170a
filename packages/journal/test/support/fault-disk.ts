import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type CreateFile, createSystemFile, type JournalFile } from '../../src/write/journal-file.js'

/** What a file was when the power went: what is surely on the disk, and what the system may or may not have written. */
export interface FileImage {
  /** Everything that was written. */
  readonly written: Buffer
  /** Bytes that a completed sync covers. */
  readonly synced: number
}

type Operation = 'create' | 'write' | 'sync' | 'truncate'

/** A disk that does what a test says. Its files are real ones; only their syncs are not, since no power is cut here. */
export class FaultDisk {
  /** System code with which an operation fails; `null`: it does not. */
  fault: ((operation: Operation, name: string) => string | null) | null = null
  /** Most bytes that all files of the directory may have together. */
  capacityBytes: number = Number.POSITIVE_INFINITY
  /** Called before each operation; what it gives back is awaited. */
  before: ((operation: Operation, name: string) => Promise<void> | void) | null = null
  readonly images = new Map<string, FileImage>()
  readonly counts = { create: 0, write: 0, sync: 0, truncate: 0 }
  #stall: { readonly over: Promise<void>; readonly end: () => void } | null = null

  /** Every write and sync waits from now on. */
  stall(): void {
    const { promise, resolve } = withResolvers()
    this.#stall = { over: promise, end: resolve }
  }

  resume(): void {
    this.#stall?.end()
    this.#stall = null
  }

  /** Nothing fails any more, and nothing waits. */
  heal(): void {
    this.fault = null
    this.capacityBytes = Number.POSITIVE_INFINITY
    this.resume()
  }

  readonly createFile: CreateFile = async (path) => {
    const name = basename(path)
    await this.#perform('create', name)
    const file = await createSystemFile(path)
    let written: Buffer = Buffer.alloc(0)
    let synced = 0
    const remember = () => this.images.set(name, { written, synced })
    remember()
    const wrapped: JournalFile = {
      write: async (bytes) => {
        await this.#perform('write', name)
        const room = this.capacityBytes - usedBytes(dirname(path))
        const fitting = bytes.subarray(0, Math.max(0, room))
        await file.write(fitting)
        written = Buffer.concat([written, fitting])
        remember()
        if (fitting.length < bytes.length) throw systemError('ENOSPC')
      },
      sync: async () => {
        await this.#perform('sync', name)
        synced = written.length
        remember()
      },
      truncate: async (bytes) => {
        await this.#perform('truncate', name)
        await file.truncate(bytes) // not synced: after a power cut the bytes may be there again
      },
      close: () => file.close(),
    }
    return wrapped
  }

  async #perform(operation: Operation, name: string): Promise<void> {
    this.counts[operation]++
    await this.before?.(operation, name)
    if (this.#stall !== null && (operation === 'write' || operation === 'sync')) await this.#stall.over
    const code = this.fault?.(operation, name) ?? null
    if (code !== null) throw systemError(code)
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: a disk of a test`), { code })
}

/** What all files of a directory have together. */
export function usedBytes(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
}

/** `Promise.withResolvers` of Node 22. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
