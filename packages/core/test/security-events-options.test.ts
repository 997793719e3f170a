/** Mistakes in `securityEvents` name the option and the mend. */
import { ConfigError } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import {
  holdReceiver,
  OTHER_ISSUER,
  RECEIVER,
  type ReceiverSettings,
  TRANSMITTER,
} from '../../../test/support/security-event-receiver.js'

const JWKS = { keys: [createSigningKey('EdDSA').jwk] }
const GOOD = { issuer: TRANSMITTER, audience: RECEIVER, jwks: JWKS }

/** Options as somebody without types writes them. */
const withEvents = (events: object): ReceiverSettings => ({ events: events as NonNullable<ReceiverSettings['events']> })
const withTransmitter = (more: object) => withEvents({ transmitters: [{ ...GOOD, ...more }] })

test.each<[string, ReceiverSettings]>([
  ['all that is needed', withEvents({ transmitters: [GOOD] })],
  ['several audiences', withTransmitter({ audience: ['a', 'b'] })],
  ['no keys, to be discovered', withEvents({ transmitters: [{ issuer: TRANSMITTER, audience: 'a' }] })],
  ['another issuer that it is about', withTransmitter({ about: OTHER_ISSUER })],
  [
    'any issuer, where the application is asked for them',
    { ...withTransmitter({ about: 'https://x.example.test' }), tokenIssuers: null },
  ],
  ['several issuers', withTransmitter({ about: [TRANSMITTER, OTHER_ISSUER], sessions: TRANSMITTER })],
  ['an Authorization value', withTransmitter({ authorization: 'Bearer x' })],
  ['a short one', withTransmitter({ authorization: 'x' })],
  ['two transmitters', withEvents({ transmitters: [GOOD, { ...GOOD, issuer: OTHER_ISSUER }] })],
])('%s is accepted', (_what, settings) => {
  holdReceiver(settings).close()
})

describe('mistakes', () => {
  test.each<[string, ReceiverSettings, RegExp]>([
    ['no transmitters', withEvents({ transmitters: [] }), /^securityEvents\.transmitters must be a non-empty list$/],
    ['an unknown member', withEvents({ transmitter: [] }), /^securityEvents has an unknown member "transmitter"/],
    [
      'a transmitter that is a text',
      withEvents({ transmitters: [TRANSMITTER] }),
      /^securityEvents\.transmitters\[0\] must be an object$/,
    ],
    ['an unknown member of one', withTransmitter({ aud: 'x' }), /^securityEvents\.transmitters\[0\] has an unknown member "aud"/],
    ['a member of token issuers', withTransmitter({ tokenTypes: ['JWT'] }), /unknown member "tokenTypes"/],
    ['no issuer', withTransmitter({ issuer: '' }), /^securityEvents\.transmitters\[0\]\.issuer must be a non-empty string$/],
    ['an undefined audience', withTransmitter({ audience: undefined }), /\.audience is undefined/],
    [
      'the audience null',
      withTransmitter({ audience: null }),
      /^securityEvents\.transmitters\[0\]\.audience must be a non-empty string$/,
    ],
    [
      'no audience',
      withEvents({ transmitters: [{ issuer: TRANSMITTER, jwks: JWKS }] }),
      /\.audience must be a non-empty string$/,
    ],
    [
      'a transmitter twice',
      withEvents({ transmitters: [GOOD, { ...GOOD, audience: 'other' }] }),
      /^securityEvents\.transmitters\[1\]\.issuer is configured twice: .*Give one transmitter all of its audiences/,
    ],
    ['keys twice', withTransmitter({ jwksUri: 'https://idp.example.test/jwks' }), /both jwks and jwksUri: choose one$/],
    [
      'keys over http',
      withEvents({ transmitters: [{ issuer: TRANSMITTER, audience: 'a', jwksUri: 'http://idp.example.test/jwks' }] }),
      /\.jwksUri must be an https URL/,
    ],
    ['an unknown algorithm', withTransmitter({ algorithms: ['HS256'] }), /\.algorithms\[0\] is not an accepted algorithm/],
    [
      'nothing to discover from',
      withEvents({ transmitters: [{ issuer: 'idp', audience: 'a', about: TRANSMITTER }] }),
      /\.issuer is no https URL/,
    ],
    [
      'an issuer that issues no tokens',
      withTransmitter({ issuer: 'https://x.example.test' }),
      /^securityEvents\.transmitters\[0\]\.about has to name issuers of tokens .*"https:\/\/x\.example\.test" is none$/,
    ],
    [
      'about one that issues none',
      withTransmitter({ about: [TRANSMITTER, 'https://x.example.test'], sessions: TRANSMITTER }),
      /\.about has to name issuers of tokens/,
    ],
    ['about nobody', withTransmitter({ about: [] }), /\.about must be a non-empty list$/],
    [
      'sessions of nobody knows whom',
      withTransmitter({ about: [TRANSMITTER, OTHER_ISSUER] }),
      /\.about names several issuers: say in sessions which of them numbers the sessions$/,
    ],
    ['sessions of another', withTransmitter({ sessions: OTHER_ISSUER }), /\.sessions has to be one of about$/],
    [
      'critical members that are no list',
      withTransmitter({ criticalMembers: 'user' }),
      /\.criticalMembers must be a non-empty list$/,
    ],
    ['an empty Authorization', withTransmitter({ authorization: '' }), /\.authorization must be a non-empty string$/],
    [
      'an Authorization with white space around it',
      withTransmitter({ authorization: 'Bearer x ' }),
      /\.authorization must be the value of a header field/,
    ],
    [
      'an Authorization that is no field',
      withTransmitter({ authorization: 'Bearer é' }),
      /\.authorization must be the value of a header field/,
    ],
    [
      'somebody to tell who is no function',
      withEvents({ transmitters: [GOOD], onUnprocessed: 'log' }),
      /^securityEvents\.onUnprocessed must be a function$/,
    ],
  ])('%s', (_what, settings, message) => {
    const create = () => holdReceiver(settings)
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(message)
  })

  test('an Authorization value is not repeated', () => {
    expect(() => holdReceiver(withTransmitter({ authorization: ' cnry ' }))).toThrow(/^(?!.*cnry)/)
  })
})
