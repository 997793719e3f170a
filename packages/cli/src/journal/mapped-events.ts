import { CommandError } from '../command-error.js'
import { EXIT } from '../exit-codes.js'

/**
 * Maps events of a journal, whose shape nobody has checked: one that is none of the native schema shows itself here.
 * @param sequence of the last record that is mapped
 * @throws {CommandError} with exit code 74
 */
export function mappedEvents<T>(sequence: number, map: () => T): T {
  try {
    return map()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    throw new CommandError(
      `record ${sequence}, or one shortly before it, holds no event of the native schema: was the journal changed?`,
      EXIT.io,
    )
  }
}
