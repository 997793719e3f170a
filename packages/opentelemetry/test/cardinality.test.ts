import { createResourceServer } from '@behalf/core'
import { instrumentBehalf } from '@behalf/opentelemetry'
import { createSigningKey, createTestIssuer, signCompact } from '@behalf/testing'
import { expect, it } from 'vitest'
import { FRAMEWORKS } from '../../../test/support/servers.js'
import { measured, tracedGlobally } from './support/measured.js'
import { startTraced } from './support/traced-api.js'

const REFUSED = 1000
const AT_ONCE = 25

it('1,000 refused tokens with invented issuers and key ids make no series of their own', async () => {
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const traced = tracedGlobally()
  const under = measured()
  const stop = instrumentBehalf({ meter: under.meter, issuerLabel: true })
  const [framework = expect.fail('no framework')] = FRAMEWORKS.filter(({ name }) => name === 'Koa 3')
  const running = await startTraced(framework, { issuers: [issuer.options()] }, traced)
  const foreign = createSigningKey('EdDSA')
  const invented = (index: number) => {
    const iss = index % 2 === 0 ? `https://invented-${index}.example.test` : issuer.issuer
    const claims = { iss, aud: issuer.audience, sub: `s${index}`, client_id: 'c', jti: `j${index}`, iat: 1, exp: 4_000_000_000 }
    return signCompact({ alg: 'EdDSA', typ: 'at+jwt', kid: `invented-${index}` }, JSON.stringify(claims), foreign)
  }

  const codes = new Map<string | null, number>()
  const ask = async (index: number) => {
    const { code } = await running.ask(invented(index))
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  for (let from = 0; from < REFUSED; from += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => ask(from + index)))
  }

  // An unknown key is `key_unknown` once the issuer was asked in vain, and `keys_unavailable` while it may not be asked again.
  expect(codes.get('issuer_unknown')).toBe(REFUSED / 2)
  expect([...codes.keys()].filter((code) => !['issuer_unknown', 'key_unknown', 'keys_unavailable'].includes(`${code}`))).toEqual(
    [],
  )
  const expected = [...codes].map(([code, count]) => [code, count] as const).toSorted()
  const verifications = await under.series('behalf.verifications')
  expect(verifications.map(([{ result, reason }, count]) => [result, reason, count])).toEqual(
    expected.map(([code, count]) => ['refused', code, count]),
  )
  const refusals = await under.series('behalf.refusals')
  expect(refusals.map(([{ code, stage }, count]) => [code, stage, count])).toEqual(
    expected.map(([code, count]) => [code, 'verify', count]),
  )
  expect(await under.series('behalf.cache.lookups')).toEqual([[{ result: 'miss' }, REFUSED]])
  expect(await under.series('behalf.verification.duration')).toEqual([[{ result: 'refused', cache: 'miss' }, REFUSED]])
  const fetches = await under.series('behalf.keys.fetches')
  expect(fetches.map(([{ issuer: named }]) => named)).toEqual(fetches.map(() => issuer.issuer))
  expect(fetches.length).toBeLessThanOrEqual(2) // loaded, unchanged

  stop()
  traced.end()
  await running.close()
  await issuer.close()
})

it('an unknown issuer of a function is no label, even where issuers are', async () => {
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const under = measured()
  const stop = instrumentBehalf({ meter: under.meter, issuerLabel: true })
  const tenants = new Map([[issuer.issuer, issuer.options()]])
  const api = createResourceServer({ issuers: (iss) => tenants.get(iss) ?? null })
  const claims = (index: number) => ({ iss: `https://invented-${index}.example.test` })
  for (let index = 0; index < 20; index++) {
    await expect(api.verify(issuer.token({ claims: claims(index) }))).rejects.toMatchObject({ code: 'issuer_unknown' })
  }
  expect(await under.series('behalf.verifications')).toEqual([[{ result: 'refused', reason: 'issuer_unknown' }, 20]])
  expect(await under.series('behalf.keys.fetches')).toEqual([])
  stop()
  await api.close()
  await issuer.close()
})
