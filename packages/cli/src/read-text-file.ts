import { readFile } from 'node:fs/promises'
import { CommandError, ioError } from './command-error.js'

/**
 * A text file that an option names.
 * @param what is in it, for messages: `the key`
 * @throws {CommandError} with exit code 74
 */
export async function readTextFile(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw ioError(error, `read ${what}`) ?? error
  }
}

/**
 * A JSON object in a file that an option names. Messages never quote what is in the file.
 * @throws {CommandError}
 */
export async function readJsonFile(path: string, what: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readTextFile(path, what)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new CommandError(`${path} is no JSON, so it holds no ${what.replace(/^the /, '')}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandError(`${path} must hold a JSON object`)
  return value as Readonly<Record<string, unknown>>
}
