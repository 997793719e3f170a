/** When the library for encrypted tokens is loaded: never with a request. */
import { ConfigError } from '@behalf/core'
import { expect, test, vi } from 'vitest'
import { apiKeyOf, decrypterOf, ecPair, encrypted, INNER } from './support/encrypted-tokens.js'
import { settle, until } from './support/key-apis.js'

const KEY = apiKeyOf(ecPair('P-256'), 'ec-1')
const OPTIONS = { keys: [KEY.jwk], algorithms: ['ECDH-ES'] } as const
const token = await encrypted({ alg: 'ECDH-ES', enc: 'A256GCM' }, KEY.publicKey)

const LIBRARY = 'jose/jwe/compact/decrypt'
let loads = 0
vi.doMock(LIBRARY, (importOriginal) => {
  loads++
  return importOriginal()
})

test('[BEHALF-decryption-loaded] the library is loaded with the options, and not before there are any', async () => {
  await settle()
  expect(loads).toBe(0)
  const decrypter = decrypterOf(OPTIONS)
  await until(() => loads === 1)
  expect(await decrypter.decrypt(token)).toBe(INNER)
  expect(loads).toBe(1)
})

test('[BEHALF-decryption-loaded] where it cannot be loaded that is our mistake, never the caller’s; and it does not end the process', async () => {
  vi.resetModules()
  let tried = false
  vi.doMock(LIBRARY, () => {
    tried = true
    throw new Error('Cannot find package: /secret/path')
  })
  const decrypter = decrypterOf(OPTIONS)
  await until(() => tried)
  for (let turn = 0; turn < 20; turn++) await settle() // a rejection that nobody takes care of would fail the run
  const error: unknown = await decrypter.decrypt(token).catch((each: unknown) => each)
  expect(error).toBeInstanceOf(ConfigError)
  expect(String(error)).toMatch(/decryption needs the package jose/)
  expect(String(error)).not.toContain('secret')
})
