import type { AuditEvent } from '@behalf/core'
import * as mappings from '@behalf/core/mappings'
import { toCloudEvent, toEcs, toOcsf, toOcsfImpersonation, toOtlpJson } from '@behalf/core/mappings'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arbitraryEvent } from '../packages/core/test/golden/arbitrary-event.js'
import { GOLDEN_EVENTS } from '../packages/core/test/golden/events.js'
import { cloudEventFindings } from './fields/check-cloud-event.js'
import { ECS, ecsFindings } from './fields/check-ecs.js'
import { OCSF, ocsfFindings } from './fields/check-ocsf.js'
import { otlpFindings } from './fields/check-otlp.js'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from './support/fuzz-settings.js'

/** What each mapping makes of an event, and who judges it by the published list. */
const JUDGES: readonly [string, (event: AuditEvent) => unknown, (value: unknown) => readonly string[]][] = [
  ['OCSF', (event) => toOcsf(event), ocsfFindings],
  ['OCSF with a service', (event) => toOcsf(event, { service: 'orders' }), ocsfFindings],
  ['OCSF impersonation', (event) => toOcsfImpersonation(event), (value) => (value === null ? [] : ocsfFindings(value))],
  ['ECS', toEcs, ecsFindings],
  ['CloudEvents', (event) => toCloudEvent(event, { source: '/audit' }), cloudEventFindings],
  ['OTLP', (event) => toOtlpJson([event], { resource: { 'service.name': 'orders' } }), (value) => otlpFindings(value)],
]

describe.each(JUDGES)('%s', (_schema, map, findings) => {
  test.each(Object.entries(GOLDEN_EVENTS))('%s has only what the schema knows, and all that it requires', (_name, event) => {
    expect(findings(JSON.parse(JSON.stringify(map(event))))).toEqual([])
  })

  test(
    'so has any event',
    () => {
      fc.assert(
        fc.property(arbitraryEvent, (event) => {
          expect(findings(JSON.parse(JSON.stringify(map(event))))).toEqual([])
        }),
        { numRuns: 200 * FUZZ_FACTOR, seed: FUZZ_SEED },
      )
    },
    FUZZ_TIMEOUT,
  )
})

test('the versions that mappings name are those of the lists', () => {
  expect([mappings.OCSF_VERSION, mappings.ECS_VERSION]).toEqual([OCSF.version, ECS.version])
})

/** Each judge must find what is wrong: a list that lets everything through would prove nothing. */
describe('the judges', () => {
  type Tree = { [name: string]: unknown }
  const event = GOLDEN_EVENTS['delegation-ai-agent'] ?? expect.fail('no such event')
  const impersonation = GOLDEN_EVENTS['impersonation-allow'] ?? expect.fail('no such event')
  const aborted = GOLDEN_EVENTS['outcome-aborted'] ?? expect.fail('no such event')
  const copy = (value: unknown) => structuredClone(value) as Tree
  const tree = (value: Tree, ...path: string[]) => path.reduce<Tree>((each, name) => each[name] as Tree, value)

  test.each<[string, (made: Tree) => void, RegExp]>([
    ['an attribute of nobody', (made) => (made['colour'] = 'red'), /^colour: is not in the list/],
    [
      'an attribute of nobody, further down',
      (made) => (tree(made, 'actor', 'user')['email'] = 'x'),
      /^actor\.user\.email: is not/,
    ],
    ['a missing attribute', (made) => delete made['src_endpoint'], /^src_endpoint: is required/],
    ['a missing attribute, further down', (made) => delete tree(made, 'api')['operation'], /^api\.operation: is required/],
    ['an id that there is not', (made) => (made['status_id'] = 3), /^status_id: 3 is not allowed/],
    ['a caption of another id', (made) => (made['status'] = 'Success'), /^status: is not the caption of status_id/],
    ['a caption of a class', (made) => (made['class_name'] = 'API'), /^class_name: is not the caption of class_uid/],
    [
      'an attribute whose profile is not named',
      (made) => (tree(made, 'metadata')['profiles'] = ['trace']),
      /^action_id: needs one of/,
    ],
    [
      'an AI agent without its profile',
      (made) => (tree(made, 'metadata')['profiles'] = ['security_control', 'trace']),
      /^ai_agent: needs one of/,
    ],
    [
      'a profile of another class',
      (made) => (tree(made, 'metadata')['profiles'] = ['security_control', 'ai_operation', 'trace', 'incident']),
      /incident is not one/,
    ],
    ['a type that is not its activity', (made) => (made['type_uid'] = 600301), /^type_uid: is not class_uid/],
    ['a time as text', (made) => (made['time'] = '2026-09-21T13:33:20.118Z'), /^time: .* is no timestamp_t/],
    ['an address with a zone', (made) => (made['src_endpoint'] = { ip: 'fe80::1%eth0' }), /is no ip_t/],
    ['an endpoint of which nothing is known', (made) => (made['src_endpoint'] = {}), /^src_endpoint\.: needs one of ip/],
    ['an actor of whom nothing is known', (made) => (made['actor'] = {}), /^actor\.: needs one of process/],
    ['a method outside of the registry', (made) => (tree(made, 'http_request')['http_method'] = 'PURGE'), /PURGE is not allowed/],
    ['one resource in place of a list', (made) => (made['resources'] = {}), /^resources: is no list/],
    ['a span without times', (made) => (tree(made, 'trace')['span'] = { uid: 'x' }), /^trace\.span\.start_time: is required/],
    ['an object of which there is no list', (made) => (made['device'] = {}), /^device: needs one of the profiles/],
    ['another class', (made) => (made['class_uid'] = 6001), /no list of class 6001/],
  ])('of OCSF find %s', (_name, spoil, finding) => {
    const made = copy(toOcsf(event))
    spoil(made)
    expect(ocsfFindings(made)).toContainEqual(expect.stringMatching(finding))
  })

  test('of OCSF find a label of 99 that says nothing', () => {
    expect(ocsfFindings({ ...toOcsf(aborted), status: 'Other' })).toEqual(['status: must say what is meant'])
  })

  test.each<[string, (made: Tree) => void, RegExp]>([
    ['nobody who is switched to', (made) => delete made['user'], /^user: is required/],
    ['no service', (made) => delete made['service'], /: needs one of service,dst_endpoint/],
    ['an API', (made) => (made['api'] = { operation: 'GET' }), /^api: needs one of the profiles cloud/],
  ])('of OCSF find in an impersonation %s', (_name, spoil, finding) => {
    const made = copy(toOcsfImpersonation(impersonation))
    spoil(made)
    expect(ocsfFindings(made)).toContainEqual(expect.stringMatching(finding))
  })

  test.each<[string, (made: Tree) => void, RegExp]>([
    ['a field of nobody', (made) => (made['subject'] = { id: 'x' }), /^subject\.id: is not in the list/],
    [
      'a word that is not allowed',
      (made) => (tree(made, 'event')['outcome'] = 'completed'),
      /^event\.outcome: completed is not allowed/,
    ],
    [
      'a type that its category does not have',
      (made) => (tree(made, 'event')['type'] = ['group']),
      /^event\.type: group is not expected/,
    ],
    ['a list that is none', (made) => (tree(made, 'event')['kind'] = ['event']), /^event\.kind: is a list/],
    ['a text that should be a list', (made) => (tree(made, 'related')['user'] = 'x'), /^related\.user: is no list/],
    ['a status as text', (made) => (tree(made, 'http')['response'] = { status_code: '200' }), /"200" is no long/],
    ['an address that is none', (made) => (tree(made, 'source')['ip'] = '/run/api.sock'), /is no ip/],
    ['no version', (made) => delete made['ecs'], /^ecs\.version: is required/],
    ['no time', (made) => delete made['@timestamp'], /^@timestamp: is required/],
  ])('of ECS find %s', (_name, spoil, finding) => {
    const made = copy(toEcs(event))
    spoil(made)
    expect(ecsFindings(made)).toContainEqual(expect.stringMatching(finding))
  })

  test.each<[string, (made: Tree) => void, RegExp]>([
    ['a name with a capital', (made) => (made['requestId'] = 'x'), /^requestId: is no name/],
    ['a name of 21 letters', (made) => (made['a'.repeat(21)] = 'x'), /is no name/],
    ['a null', (made) => (made['authid'] = null), /^authid: null is no value/],
    ['an object outside of data', (made) => (made['actor'] = {}), /^actor: \{\} is no value/],
    ['a control character', (made) => (made['authid'] = 'a\u0007'), /^authid: /],
    ['no source', (made) => delete made['source'], /^source: is required/],
    ['a time of another shape', (made) => (made['time'] = 'yesterday'), /^time: has another shape/],
    ['another word for a principal', (made) => (made['authtype'] = 'human'), /^authtype: is not one/],
  ])('of CloudEvents find %s', (_name, spoil, finding) => {
    const made = copy(toCloudEvent(event, { source: '/audit' }))
    spoil(made)
    expect(cloudEventFindings(made)).toContainEqual(expect.stringMatching(finding))
  })

  test.each<[string, (record: Tree) => void, RegExp]>([
    ['a member of another name', (record) => (record['event_name'] = 'x'), /event_name: is not in the list/],
    ['a time as a number', (record) => (record['timeUnixNano'] = 1), /timeUnixNano: 1 is no fixed64/],
    ['a severity of 0', (record) => (record['severityNumber'] = 0), /is no SeverityNumber/],
    ['a trace of zeroes', (record) => (record['traceId'] = '0'.repeat(32)), /is no hex16/],
    ['a trace in capitals', (record) => (record['traceId'] = 'A'.repeat(32)), /is no hex16/],
    ['an integer as a number', (record) => (record['body'] = { intValue: 1 }), /is no int64/],
    ['two values in one', (record) => (record['body'] = { intValue: '1', stringValue: '1' }), /has more than one value/],
    [
      'an attribute that is given twice',
      (record) =>
        (record['attributes'] = [
          { key: 'a', value: {} },
          { key: 'a', value: {} },
        ]),
      /twice/,
    ],
  ])('of OTLP find %s', (_name, spoil, finding) => {
    const made = copy(toOtlpJson([event])) as { resourceLogs: { scopeLogs: { logRecords: Tree[] }[] }[] }
    spoil(made.resourceLogs[0]?.scopeLogs[0]?.logRecords[0] ?? expect.fail('no record'))
    expect(otlpFindings(made)).toContainEqual(expect.stringMatching(finding))
  })
})
