import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A text that no part of this project contains, and that must come out nowhere. */
export const CANARY = 'zq7canary'

/** How a secret can stand in a text: plain, in hex, and in base64 and base64url at each of the three places where it can begin. */
export function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  const encoded = [0, 1, 2].flatMap((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes])
    const whole = shifted.length - (shifted.length % 3) // what follows would change the last characters
    const from = offset === 0 ? 0 : 4 // and what stands before, the first ones
    return (['base64', 'base64url'] as const).map((encoding) => shifted.subarray(0, whole).toString(encoding).slice(from))
  })
  return [...new Set([secret, bytes.toString('hex'), ...encoded])]
}

const CANARY_FORMS = formsOf(CANARY)

/** Forms of the canary, and other secrets, that stand in a text, whatever the case of plain ones and hex. */
export function leaksIn(text: string, secrets: readonly string[] = []): string[] {
  const lower = text.toLowerCase()
  const [plain = '', hex = '', ...encoded] = CANARY_FORMS
  return [
    ...[plain, hex].filter((form) => lower.includes(form)),
    ...[...encoded, ...secrets].filter((form) => text.includes(form)),
  ]
}

/** The parts of a token that nobody must find again: one that is cut is as good as none. */
export function partsOf(token: string): readonly string[] {
  return token
    .split('.')
    .filter((part) => part.length >= 24)
    .flatMap((part) => [part.slice(0, 24), part.slice(-24)])
    .filter((part) => !COMMON.has(part))
}

/** Beginnings that every token has say nothing. */
const COMMON: ReadonlySet<string> = new Set(
  ['{"alg":"EdDSA","kid":"eddsa-', '{"iss":"http://127.0.0.1:', '{"alg":"EdDSA","kid":"ed25519-'].map((text) =>
    Buffer.from(text).toString('base64url').slice(0, 24),
  ),
)

/** Every file of a directory, by its name: one character for each byte. */
export function filesIn(directory: string): ReadonlyMap<string, string> {
  return new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'latin1')]))
}
