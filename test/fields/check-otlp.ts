import { readFileSync } from 'node:fs'

type Message = Readonly<Record<string, string | true>>

const { messages } = JSON.parse(readFileSync(new URL('otlp-logs.json', import.meta.url), 'utf8')) as {
  readonly messages: Readonly<Record<string, Message>>
}

const UINT32 = 2 ** 32 - 1
const isUint32 = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= UINT32
const isDecimal = (value: unknown, least: bigint, most: bigint) =>
  typeof value === 'string' && /^(?:0|-?[1-9]\d*)$/.test(value) && BigInt(value) >= least && BigInt(value) <= most

const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  bool: (value) => typeof value === 'boolean',
  double: (value) => typeof value === 'number' && Number.isFinite(value),
  uint32: isUint32,
  fixed32: isUint32,
  fixed64: (value) => isDecimal(value, 0n, 2n ** 64n - 1n),
  int64: (value) => isDecimal(value, -(2n ** 63n), 2n ** 63n - 1n),
  SeverityNumber: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 24,
  hex16: (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) && !/^0+$/.test(value),
  hex8: (value) => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value) && !/^0+$/.test(value),
}

/** Where a value is not the JSON form of a message of OTLP; empty where it is. */
export function otlpFindings(value: unknown, type = 'ExportLogsServiceRequest', path = type): readonly string[] {
  if (type.endsWith('[]')) {
    if (!Array.isArray(value)) return [`${path}: is no list`]
    return value.flatMap((each, index) => otlpFindings(each, type.slice(0, -2), `${path}[${index}]`))
  }
  const message = messages[type]
  if (message === undefined) return SCALARS[type]?.(value) === true ? [] : [`${path}: ${JSON.stringify(value)} is no ${type}`]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: is no ${type}`]
  return messageFindings(value as Record<string, unknown>, message, path)
}

function messageFindings(value: Record<string, unknown>, message: Message, path: string): readonly string[] {
  const names = Object.keys(value)
  const keys = Array.isArray(value['attributes']) ? (value['attributes'] as { key: string }[]).map(({ key }) => key) : []
  return [
    ...(message['oneof'] === true && names.length > 1 ? [`${path}: has more than one value`] : []),
    ...(new Set(keys).size === keys.length ? [] : [`${path}.attributes: names something twice`]),
    ...names.flatMap((name) => {
      const type = message[name]
      return typeof type === 'string'
        ? otlpFindings(value[name], type, `${path}.${name}`)
        : [`${path}.${name}: is not in the list`]
    }),
  ]
}
