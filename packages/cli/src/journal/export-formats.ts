import type { AuditEvent } from '@behalf/core'
import { csvHeader, toCloudEvent, toCsvRow, toEcs, toOcsf, toOtlpJson } from '@behalf/core/mappings'
import type { JournalRecord } from '@behalf/journal'
import { textAt } from './record-fields.js'

export const EXPORT_FORMATS = ['ocsf', 'ecs', 'cloudevents', 'otlp-json', 'csv'] as const

/** What an export says beside its events. */
export interface ExportSettings {
  readonly format: (typeof EXPORT_FORMATS)[number]
  /** CloudEvents' `source`; `null`: the journal's own name. */
  readonly source: string | null
  /** Name of the API: OCSF's service, OpenTelemetry's `service.name`; `null`: not said. */
  readonly service: string | null
}

/** Turns events into lines, one after another. */
export interface EventExport {
  /** Lines before the first event. */
  begin(): readonly string[]
  /** A record of the journal's own: only its name may be learned from it. */
  pass(record: JournalRecord): void
  /** Lines that are ready after an event; maybe none yet. */
  add(event: AuditEvent): readonly string[]
  /** Lines that were still gathered. */
  end(): readonly string[]
}

/** Events in one line of OTLP: a request of a size that every collector takes. */
const OTLP_EVENTS = 100

export function createExport(settings: ExportSettings): EventExport {
  switch (settings.format) {
    case 'ocsf': {
      const options = settings.service === null ? {} : { service: settings.service }
      return eachAsJson((event) => toOcsf(event, options))
    }
    case 'ecs':
      return eachAsJson(toEcs)
    case 'cloudevents':
      return cloudEvents(settings.source)
    case 'otlp-json':
      return otlpRequests(settings.service)
    case 'csv':
      // RFC 4180 ends lines with CR LF.
      return { begin: () => [`${csvHeader()}\r`], pass() {}, add: (event) => [`${toCsvRow(event)}\r`], end: () => [] }
  }
}

function eachAsJson(map: (event: AuditEvent) => unknown): EventExport {
  return { begin: () => [], pass() {}, add: (event) => [JSON.stringify(map(event))], end: () => [] }
}

function cloudEvents(given: string | null): EventExport {
  let journal: string | null = null
  return {
    ...eachAsJson((event) => toCloudEvent(event, { source: given ?? `urn:behalf:journal:${journal ?? 'unknown'}` })),
    pass({ kind, body }) {
      const name = kind === 'segment' ? textAt(body, 'journal') : null
      if (name !== null && /^[0-9a-f-]{36}$/.test(name)) journal = name
    },
  }
}

function otlpRequests(service: string | null): EventExport {
  const options = service === null ? {} : { resource: { 'service.name': service } }
  let gathered: AuditEvent[] = []
  const request = (): readonly string[] => {
    const events = gathered
    gathered = []
    return events.length === 0 ? [] : [JSON.stringify(toOtlpJson(events, options))]
  }
  return {
    begin: () => [],
    pass() {},
    add(event) {
      gathered.push(event)
      return gathered.length < OTLP_EVENTS ? [] : request()
    },
    end: request,
  }
}
