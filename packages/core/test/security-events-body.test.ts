/** How a pushed body is read: within bounds, once, whatever becomes of its sender. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { ConfigError, type HttpAnswer } from '@behalf/core'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type BodyStream, readBody } from '../src/request-body.js'
import { answerPush } from '../src/security-events/push.js'

/** Node's request, as far as it is read: a stream with header fields. */
function requestOf(length?: number): PassThrough & BodyStream {
  const headers = length === undefined ? {} : { 'content-length': String(length) }
  return Object.assign(new PassThrough(), { headers })
}

const BOUNDS = { maxBytes: 8, milliseconds: 600_000 }
const textOf = (read: Uint8Array | string) => (typeof read === 'string' ? read : `bytes ${Buffer.from(read).toString()}`)

afterEach(() => void vi.useRealTimers())

describe('a body', () => {
  test('is read to its end, in however many pieces', async () => {
    const stream = requestOf()
    const reading = readBody(stream, BOUNDS)
    for (const piece of ['a', '', 'bc', 'd']) stream.write(piece)
    stream.end('e')
    expect(textOf(await reading)).toBe('bytes abcde')
  })

  test('may be empty', async () => {
    const stream = requestOf(0)
    stream.end()
    expect(textOf(await readBody(stream, BOUNDS))).toBe('bytes ')
  })

  test('is read as text where somebody has set an encoding', async () => {
    const stream = requestOf()
    stream.setEncoding('utf8')
    const reading = readBody(stream, BOUNDS)
    stream.end('é')
    expect(textOf(await reading)).toBe('bytes é')
  })

  test('may be as long as it may, and no longer', async () => {
    const exact = requestOf(8)
    exact.end('12345678')
    expect(textOf(await readBody(exact, BOUNDS))).toBe('bytes 12345678')
    const long = requestOf()
    const reading = readBody(long, BOUNDS)
    long.write('1234567')
    long.write('89')
    expect(await reading).toBe('too_large')
    expect(long.isPaused()).toBe(true)
    expect(long.listenerCount('data')).toBe(0)
  })

  test('that says that it is too long is not read at all', async () => {
    const stream = requestOf(9)
    expect(await readBody(stream, BOUNDS)).toBe('too_large')
    expect(stream.readableDidRead).toBe(false)
  })

  test('that does not come is not waited for', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const stream = requestOf()
    const reading = readBody(stream, { ...BOUNDS, milliseconds: 1000 })
    stream.write('a')
    vi.advanceTimersByTime(1000)
    expect(await reading).toBe('too_slow')
    stream.write('b') // whatever comes now is nobody's
    stream.end()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('keeps no timer and no listener when it has been read', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const stream = requestOf()
    const before = ['data', 'end', 'close'].map((name) => stream.listenerCount(name))
    const reading = readBody(stream, BOUNDS)
    stream.end('a')
    await reading
    expect(vi.getTimerCount()).toBe(0)
    expect(['data', 'end', 'close'].map((name) => stream.listenerCount(name))).toEqual(before)
  })

  test.each<[string, (stream: PassThrough) => void]>([
    ['goes away', (stream) => void stream.destroy()],
    ['goes away with an error', (stream) => void stream.destroy(new Error('reset'))],
  ])('of somebody who %s is no body', async (_what, end) => {
    const stream = requestOf()
    const reading = readBody(stream, BOUNDS)
    stream.write('a')
    end(stream)
    expect(await reading).toBe('gone')
    expect(await readBody(stream, BOUNDS)).toBe('gone')
  })
})

describe('a push', () => {
  const ANSWER: HttpAnswer = { status: 202, headers: {}, body: '' }
  const received: string[] = []
  const receiver = {
    refuseEarly: ({ method }: { method: string }) => (method === 'POST' ? null : { ...ANSWER, status: 405 }),
    async receive({ body }: { body: Uint8Array | string }) {
      received.push(textOf(typeof body === 'string' ? `text ${body}` : body))
      return ANSWER
    },
    close() {},
  }
  const request = { method: 'POST', authorization: [], header: () => null }
  const streamOf = (text: string | null) => {
    const stream = Object.assign(requestOf(), { httpVersionMajor: 1 })
    if (text !== null) stream.end(text)
    return stream
  }
  afterEach(() => void received.splice(0))

  test.each<[string, unknown[], string]>([
    ['bytes', [Buffer.from('a')], 'bytes a'],
    ['other bytes', [undefined, new Uint8Array([97])], 'bytes a'],
    ['a text', ['a', Buffer.from('b')], 'text a'],
    ['what a parser made of it, and its bytes', [{ a: 1 }, Buffer.from('b')], 'bytes b'],
  ])('that a parser has read is taken as %s', async (_what, parsed, body) => {
    const stream = streamOf('x')
    stream.resume()
    await once(stream, 'end')
    expect(await answerPush(receiver, request, stream, parsed)).toBe(ANSWER)
    expect(received).toEqual([body])
  })

  test.each<[string, unknown[]]>([
    ['nothing', []],
    ['an empty object, as parsers do that have read nothing', [{}]],
    ['an empty text', ['']],
    ['no bytes', [Buffer.alloc(0)]],
  ])('that nobody has read is read here, beside %s', async (_what, parsed) => {
    await answerPush(receiver, request, streamOf('x'), parsed)
    expect(received).toEqual(['bytes x'])
  })

  test.each<[string, unknown[]]>([
    ['nothing', []],
    ['an object', [{ a: 1 }]],
    ['an empty text', ['']],
    ['null', [null]],
  ])('that somebody has read, and left %s of it, is a mistake of the application', async (_what, parsed) => {
    const stream = streamOf('x')
    stream.resume()
    await once(stream, 'end')
    await expect(answerPush(receiver, request, stream, parsed)).rejects.toThrow(ConfigError)
    await expect(answerPush(receiver, request, stream, parsed)).rejects.toThrow(/put securityEvents\(\) before body parsers/)
  })

  test('that is refused early is not read', async () => {
    const stream = streamOf('x')
    expect((await answerPush(receiver, { ...request, method: 'GET' }, stream, []))?.status).toBe(405)
    expect(stream.readableDidRead).toBe(false)
  })

  test('whose sender is gone has no answer', async () => {
    const stream = streamOf(null)
    const answer = answerPush(receiver, request, stream, [])
    stream.destroy()
    expect(await answer).toBeNull()
    expect(received).toEqual([])
  })

  test.each([
    [1, 'close'],
    [2, undefined],
  ])('that is too long ends the connection of HTTP/%d', async (httpVersionMajor, connection) => {
    const stream = Object.assign(requestOf(65_537), { httpVersionMajor })
    const answer = await answerPush(receiver, request, stream, [])
    expect([answer?.status, answer?.headers['connection'], answer?.headers['cache-control']]).toEqual([
      413,
      connection,
      'no-store',
    ])
  })

  test('that does not come is answered with 408', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const answer = answerPush(receiver, request, streamOf(null), [])
    await vi.advanceTimersByTimeAsync(10_000)
    expect([(await answer)?.status, (await answer)?.headers['connection']]).toEqual([408, 'close'])
  })
})

describe('over real connections', () => {
  /** One request, and what reading its body came to. */
  async function readFrom(act: (socket: Socket, sending: Promise<IncomingMessage>) => unknown): Promise<string> {
    let began: (request: IncomingMessage) => void = () => {}
    const sending = new Promise<IncomingMessage>((resolve) => {
      began = resolve
    })
    let response: ServerResponse | undefined
    const server = createServer((request, given) => {
      response = given
      began(request)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {})
    try {
      const reading = sending.then((request) => readBody(request, BOUNDS))
      await act(socket, sending)
      return textOf(await reading)
    } finally {
      response?.end()
      socket.destroy()
      server.closeAllConnections()
      server.close()
    }
  }

  const HEAD = 'POST / HTTP/1.1\r\nHost: x\r\n'

  test('a body with a length', async () => {
    expect(await readFrom((socket) => socket.write(`${HEAD}Content-Length: 3\r\n\r\nabc`))).toBe('bytes abc')
  })

  test('a body in chunks', async () => {
    const chunked = `${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`
    expect(await readFrom((socket) => socket.write(chunked))).toBe('bytes abc')
  })

  test('no body', async () => {
    expect(await readFrom((socket) => socket.write(`${HEAD}\r\n`))).toBe('bytes ')
  })

  test('chunks without an end', async () => {
    const chunked = `${HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n`
    expect(await readFrom((socket) => socket.write(chunked))).toBe('too_large')
  })

  test.each(['destroy', 'resetAndDestroy'] as const)('a client that goes away in the middle (%s)', async (end) => {
    const read = await readFrom(async (socket, sending) => {
      socket.write(`${HEAD}Content-Length: 5\r\n\r\nab`)
      await sending
      socket[end]()
    })
    expect(read).toBe('gone')
  })
})
