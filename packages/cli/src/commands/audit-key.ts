import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { open, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { verifierKeyText } from '@behalf/journal'
import type { Command } from 'commander'
import type { CommandContext } from '../command-context.js'
import { CommandError, ioError } from '../command-error.js'
import { isSegmentName } from '../journal/open-journal.js'
import { createOutput } from '../output.js'
import { readTextFile } from '../read-text-file.js'

interface KeyFlags {
  readonly name: string
  readonly public?: boolean
}

const HELP = `
Makes an Ed25519 key for 'journalSink({ signingKey: { file } })' and prints the verifier key:
one line for everybody who verifies. The file is PKCS 8 PEM, only its owner can read it, and a
file that is there already is never overwritten. Keep it outside of the journal's directory. The
name must be the journal's 'origin'.

Examples:
  $ behalf audit key /etc/api/audit.key --name orders.example.com/audit > audit.vkey
  $ behalf audit key /etc/api/audit.key --name orders.example.com/audit --public`

export function addAuditKey(audit: Command, context: CommandContext): void {
  audit
    .command('key')
    .description('Makes a signing key, and prints the verifier key that goes with it.')
    .argument('<file>', 'where to put the signing key')
    .option('--name <name>', "name of the key: the journal's origin", 'behalf/journal')
    .option('--public', 'make nothing: print the verifier key of a signing key that is there')
    .addHelpText('after', HELP)
    .action((file: string, flags: KeyFlags) => key(file, flags, context))
}

async function key(file: string, { name, public: existing }: KeyFlags, { terminal }: CommandContext): Promise<void> {
  const privateKey = existing === true ? await readPrivateKey(file) : generateKeyPairSync('ed25519').privateKey
  const text = textOf(name, privateKey) // before anything is written: a wrong name must leave no file behind
  if (existing !== true) {
    await refuseJournal(dirname(file))
    await writeNew(file, privateKey)
    terminal.stderr.write('behalf: keep the signing key to the writer alone, and give the line below to those who verify\n')
  }
  const output = createOutput(terminal.stdout)
  await output.line(text)
  await output.flush()
}

function textOf(name: string, privateKey: KeyObject): string {
  try {
    return verifierKeyText(name, privateKey)
  } catch (error) {
    throw error instanceof TypeError ? new CommandError(error.message) : error
  }
}

async function readPrivateKey(file: string): Promise<KeyObject> {
  const pem = await readTextFile(file, 'the signing key')
  try {
    return createPrivateKey(pem)
  } catch {
    throw new CommandError(`${file} holds no private key in PEM (PKCS 8)`)
  }
}

/** Whoever can read a journal must not get its key with it. */
async function refuseJournal(directory: string): Promise<void> {
  let names: readonly string[]
  try {
    names = await readdir(directory)
  } catch (error) {
    throw ioError(error, 'write the key to') ?? error
  }
  if (names.some(isSegmentName)) {
    throw new CommandError(`${directory} holds a journal: keep its key elsewhere, or whoever gets the one gets the other`)
  }
}

async function writeNew(file: string, privateKey: KeyObject): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }))
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw ioError(error, 'write the key to') ?? error
  }
}
