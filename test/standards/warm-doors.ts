/** Every door twice: once as it is, and once where each request comes a second time, so that good tokens are known already. */
import { expect } from 'vitest'
import { type Answer, type Door, DOORS as EACH, type OpenDoor } from '../support/request.js'

/** Fields that tell of the connection, not of the answer. */
const TRANSPORT = ['date', 'connection', 'keep-alive']

function answered({ status, headers, text }: Answer): object {
  return { status, text, headers: Object.entries(headers).filter(([name]) => !TRANSPORT.includes(name)) }
}

/** Opens a door whose every question is asked twice, and must be answered twice alike. The first time does not count as a run. */
function warm(open: OpenDoor): OpenDoor {
  return async (options, routes) => {
    const door = await open(options, routes)
    let warming = 0
    const asked: Door = {
      url: door.url,
      get ran() {
        return door.ran - warming
      },
      async ask(path, presented) {
        const before = door.ran
        const first = await door.ask(path, presented)
        warming += door.ran - before
        const again = await door.ask(path, presented)
        expect(answered(again), 'asked again').toEqual(answered(first))
        return again
      },
      close: () => door.close(),
    }
    return asked
  }
}

export const DOORS: typeof EACH = EACH.flatMap(({ name, open }) => [
  { name, open },
  { name: `${name}, everything asked twice`, open: warm(open) },
])
