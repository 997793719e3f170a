/** A Redis that is not there, or that cannot be relied upon: every use is refused, nothing ends the process, and it is found again. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { freePort } from '../../../test/support/server-process.js'
import { Clock, newMemory, newServer, outcome, POLL, serverAndMemory, untilConnected } from './support/replays.js'
import { runProgram } from './support/run-program.js'
import { heardWarnings, NOWHERE, newReplica, timesAsked } from './support/troubled-redis.js'

describeWith('redis-server', 'a Redis that goes away', () => {
  test('killed: refused at once, and found again', async () => {
    const { server, memory, clock } = await serverAndMemory()
    await memory.ready()
    await server.kill()
    expect(await outcome(memory, clock.use())).toMatch(NOWHERE)
    await expect(memory.ready()).rejects.toMatchObject({ code: expect.stringMatching(NOWHERE) })
    await server.restart()
    await untilConnected(memory, clock)
    clock.pass(11)
    await memory.ready()
  })

  test('[RFC9449-11.1-paused] paused: uses wait for as long as their caller does; resumed, each proof is accepted once', async () => {
    const { server, memory, clock } = await serverAndMemory()
    const use = clock.use()
    server.pause()
    const waiting = [memory.use(use), memory.use({ ...use })]
    server.resume()
    expect(await Promise.all(waiting)).toEqual([true, false])
    expect(await memory.use(use)).toBe(false)
  })

  test('paused for too long: what waits is refused, and never accepted twice', async () => {
    const { server, memory, clock } = await serverAndMemory()
    const impatient = newMemory({ url: server.url, now: clock.now, answerTimeoutMilliseconds: 30 })
    await untilConnected(impatient, clock)
    const use = clock.use()
    server.pause()
    for (const given of await Promise.all([outcome(impatient, use), outcome(impatient, use)])) expect(given).toMatch(NOWHERE)
    expect(await outcome(impatient, use)).toBe('unreachable')
    server.resume()
    const answers = [await outcome(memory, use), await outcome(memory, use)]
    expect(answers[0]).toBeTypeOf('boolean') // what was under way may have arrived
    expect(answers[1]).toBe(false)
    await untilConnected(impatient, clock)
  })

  test('a connection that the server ends: found again, and nothing is forgotten', async () => {
    const { server, memory, clock } = await serverAndMemory()
    const use = clock.use()
    expect(await memory.use(use)).toBe(true)
    await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes')
    await expect.poll(() => outcome(memory, use), POLL).toBe(false)
    expect(await memory.use(clock.use())).toBe(true)
  })

  test('connections that are ended all the time: no error that nobody expects, and never a second acceptance', async () => {
    const { server, memory, clock } = await serverAndMemory()
    const use = clock.use()
    let accepted = 0
    let refused = 0
    let over = false
    const asking = (async () => {
      while (!over) {
        await turn()
        const answers = await Promise.all(Array.from({ length: 20 }, () => outcome(memory, use)))
        accepted += answers.filter((answer) => answer === true).length
        refused += answers.filter((answer) => typeof answer === 'string').length
      }
    })()
    for (let round = 0; round < 20; round++) await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes')
    over = true
    await asking
    expect(accepted).toBeLessThanOrEqual(1)
    expect(refused).toBeGreaterThan(0)
    await expect.poll(() => outcome(memory, use), POLL).toBe(false)
  })

  test('scripts that were flushed are told again', async () => {
    const { server, memory, clock } = await serverAndMemory()
    await server.cli('script', 'flush')
    const use = clock.use()
    expect([await memory.use(use), await memory.use(use)]).toEqual([true, false])
  })

  test('no more uses wait than are allowed', async () => {
    const { server, memory, clock } = await serverAndMemory({ maxPending: 3 })
    server.pause()
    const waiting = Array.from({ length: 3 }, () => memory.use(clock.use()))
    expect(await outcome(memory, clock.use())).toBe('busy')
    server.resume()
    expect(await Promise.all(waiting)).toEqual([true, true, true])
    expect(await memory.use(clock.use())).toBe(true)
  })

  test('closed while uses wait: they are refused at once, and so is everything later', async () => {
    const { server, memory, clock } = await serverAndMemory({ answerTimeoutMilliseconds: 600_000 })
    server.pause()
    const waiting = outcome(memory, clock.use())
    const ready = memory.ready()
    ready.catch(() => {})
    await memory.close()
    expect(await waiting).toBe('closed')
    await expect(ready).rejects.toMatchObject({ code: 'closed' })
    expect(await outcome(memory, clock.use())).toBe('closed')
    await expect(memory.ready()).rejects.toMatchObject({ code: 'closed' })
    await memory.close()
    server.resume()
    await expect.poll(() => server.cli('client', 'list', 'type', 'normal'), POLL).toMatch(/^[^\n]*$/) // ours alone
  })

  test('closed while it connects', async () => {
    const server = await newServer()
    server.pause()
    const memory = newMemory({ url: server.url, connectTimeoutMilliseconds: 600_000 })
    const ready = memory.ready()
    ready.catch(() => {})
    await memory.close()
    await expect(ready).rejects.toMatchObject({ code: 'closed' })
    server.resume()
    await expect.poll(() => server.cli('client', 'list', 'type', 'normal'), POLL).toMatch(/^[^\n]*$/)
  })

  test('is ready when proofs that are made now can be judged, and not before', async () => {
    const server = await newServer()
    const clock = new Clock(1_800_000_000_500)
    const memory = newMemory({ url: server.url, now: clock.now })
    await untilConnected(memory, clock)
    clock.time = 1_800_000_010_999 // a proof that is made now says 1,800,000,010
    let ready = false
    const waiting = memory.ready().then(() => {
      ready = true
    })
    expect(memory.ready()).toBe(memory.ready())
    const asked = () => timesAsked(server, 'evalsha')
    const before = await asked()
    await expect.poll(asked, POLL).toBeGreaterThan(before + 5)
    expect(ready).toBe(false)
    expect(await outcome(memory, clock.use())).toBe('forgotten')
    clock.time++
    await waiting
    expect(await outcome(memory, clock.use())).toBe(true)
  })

  test('is ready sooner where clocks agree better', async () => {
    const server = await newServer()
    const clock = new Clock(1_800_000_000_500)
    const memory = newMemory({ url: server.url, now: clock.now, toleranceSeconds: 0 })
    await untilConnected(memory, clock)
    clock.time = 1_800_000_001_000
    await memory.ready()
  })
})

describeWith('redis-server', 'a Redis that cannot be relied upon', () => {
  test('that may evict keys: every use is refused, and that is said once, until it is mended', async () => {
    const warnings = heardWarnings()
    const server = await newServer({ settings: { 'maxmemory-policy': 'allkeys-lru' } })
    const clock = new Clock()
    const memory = newMemory({ url: server.url, now: clock.now })
    await expect(memory.ready()).rejects.toMatchObject({ code: 'eviction' })
    expect(await outcome(memory, clock.use())).toBe('eviction')
    const asked = () => timesAsked(server, 'info')
    const before = await asked()
    await expect.poll(asked, POLL).toBeGreaterThan(before + 10) // several connections
    expect(warnings.map(({ code }) => code)).toEqual(['BEHALF_REPLAY_EVICTION'])
    expect(warnings[0]?.message).toContain('maxmemory-policy to noeviction')
    await server.cli('config', 'set', 'maxmemory-policy', 'noeviction')
    await untilConnected(memory, clock)
  })

  test('[RFC9449-11.1-full] that is full: refused, until there is room', async () => {
    const { server, memory, clock } = await serverAndMemory()
    const used = clock.use()
    expect(await memory.use(used)).toBe(true)
    await server.cli('config', 'set', 'maxmemory', '1')
    expect(await outcome(memory, clock.use())).toBe('full')
    expect(await outcome(memory, used)).not.toBe(true)
    await server.cli('config', 'set', 'maxmemory', '0')
    expect(await outcome(memory, used)).toBe(false)
    expect(await outcome(memory, clock.use())).toBe(true)
  })

  test.each(['yes', 'no'])('that is a replica (read only: %s)', async (readOnly) => {
    const server = await newReplica(readOnly)
    const clock = new Clock()
    const memory = newMemory({ url: server.url, now: clock.now })
    await expect(memory.ready()).rejects.toMatchObject({ code: 'replica' })
    expect(await outcome(memory, clock.use())).toBe('replica')
  })

  test('memories with prefixes of their own know nothing of each other', async () => {
    const { server, memory, clock } = await serverAndMemory({ keyPrefix: 'one' })
    const other = newMemory({ url: server.url, now: clock.now, keyPrefix: 'two' })
    const use = clock.use()
    expect(await memory.use(use)).toBe(true)
    await untilConnected(other, clock)
    expect(await outcome(other, use)).toBe('forgotten')
    clock.pass(11)
    const later = clock.use()
    expect([await memory.use(later), await other.use(later)]).toEqual([true, true])
  })
})

describeWith('redis-server', 'whoever answers is no Redis', () => {
  async function listener(answer: (socket: Socket, text: string) => void): Promise<{ url: string; sockets: Set<Socket> }> {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
      socket.on('data', (chunk) => answer(socket, chunk.toString('latin1')))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
  }

  test('nobody listens', async () => {
    const memory = newMemory({ url: `redis://127.0.0.1:${await freePort()}` })
    await expect(memory.ready()).rejects.toMatchObject({ code: 'unreachable' })
    expect(await outcome(memory, new Clock().use())).toBe('unreachable')
  })

  test('one that says nothing is given up, with its connection', async () => {
    const { url, sockets } = await listener(() => {})
    const memory = newMemory({ url, connectTimeoutMilliseconds: 30 })
    await expect(memory.ready()).rejects.toMatchObject({ code: 'unreachable' })
    await memory.close()
    await expect.poll(() => sockets.size, POLL).toBe(0)
  })

  test('closed while one says nothing: it is not waited for', async () => {
    const { url, sockets } = await listener(() => {})
    const memory = newMemory({ url, connectTimeoutMilliseconds: 600_000 })
    const ready = memory.ready()
    ready.catch(() => {})
    await expect.poll(() => sockets.size, POLL).toBe(1)
    await memory.close()
    await expect(ready).rejects.toMatchObject({ code: 'closed' })
    await expect.poll(() => sockets.size, POLL).toBe(0)
  })

  test.each([
    ['a web server', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['bytes', '\u0000\u00ff\r\n'],
    ['more answers than questions', '+a\r\n+b\r\n+c\r\n+d\r\n'],
    ['answers of other kinds', ':1\r\n'],
    ['an endless text', `$${2 ** 31}\r\nxxx`],
    ['an error', '-ERR what\r\n'],
    ['a text that is no INFO', '$2\r\nhi\r\n'],
    ['an end', null],
  ])('%s: refused', async (_name, text) => {
    const { url } = await listener((socket) => (text === null ? socket.end() : socket.write(text, 'latin1')))
    const memory = newMemory({ url, connectTimeoutMilliseconds: 100 })
    await expect(memory.ready()).rejects.toMatchObject({ code: expect.stringMatching(/^(unreachable|refused)$/) })
    expect(await outcome(memory, new Clock().use())).toMatch(/^(unreachable|refused)$/)
  })

  test.each([
    [':1\r\n', 'refused'],
    ['$-1\r\n', 'refused'],
    ['+OK\r\n', 'refused'],
    ['$4\r\ntrue\r\n', 'refused'],
    ['*1\r\n$5\r\nfirst\r\n', 'refused'],
    ['-MOVED 1 127.0.0.1:1\r\n', 'refused'],
    ['-OOM command not allowed\r\n', 'full'],
    ["-ERR Error running script: @user_script:1: -OOM command not allowed when used memory > 'maxmemory'.\r\n", 'full'],
    ['-READONLY You cannot write\r\n', 'replica'],
    ['-NOPERM no\r\n', 'unauthorized'],
    ['-LOADING Redis is loading\r\n', 'unreachable'],
    ['$5\r\nfirst\r\n', true],
    ['$4\r\nseen\r\n', false],
  ])('what is no answer to a use is none: %j', async (answer, meaning) => {
    const { url } = await listener((socket, text) => {
      const info = text.includes('memory') ? 'maxmemory_policy:noeviction' : 'role:master'
      for (const _ of text.matchAll(/INFO/g)) socket.write(`$${info.length}\r\n${info}\r\n`)
      if (text.includes('EVALSHA')) socket.write(answer)
    })
    const memory = newMemory({ url })
    const ready = await memory.ready().then(
      () => 'ready',
      ({ code }) => code,
    )
    // what is asked there is a time: of these answers, 1 is one
    expect(ready).toBe(answer === ':1\r\n' ? 'ready' : typeof meaning === 'boolean' ? 'refused' : meaning)
    await expect.poll(() => outcome(memory, new Clock().use()), POLL).toBe(meaning)
  })
})

describeWith('redis-server', 'a process', () => {
  test('does not live for a memory that nobody has closed', async () => {
    const server = await newServer()
    const program = (url: string) => `
      import { redisReplay } from '@behalf/redis'
      const memory = redisReplay({ url: '${url}', now: () => 0, toleranceSeconds: 0 })
      await memory.ready().catch(({ code }) => process.stdout.write(code))
      process.stdout.write('over')
    `
    expect(await runProgram(program(`redis://127.0.0.1:${await freePort()}`))).toBe('unreachableover')
    await server.cli('set', '{behalf}', 'x')
    expect(await runProgram(program(server.url).replace('() => 0', 'Date.now'))).toBe('over')
  })
})
