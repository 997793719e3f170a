/** Tells the story twice, and checks it: with tokens bound to keys at the Express API, and bound to certificates at the Koa API. */
import assert from 'node:assert/strict'
import { memorySink } from '@behalf/testing'
import { auditLines, say } from './printing.js'
import { tellStory } from './story.js'
import { startWorld } from './world.js'

const sinks = { express: memorySink(), koa: memorySink() }
const world = await startWorld((framework) => sinks[framework])
const chapters = [
  { title: 'Tokens bound to keys (DPoP), an Express API', framework: 'express', binding: 'dpop' },
  { title: 'Tokens bound to client certificates (mutual TLS), a Koa API', framework: 'koa', binding: 'mtls' },
] as const
const trails: (readonly string[])[] = []
try {
  for (const { title, framework, binding } of chapters) {
    say(`== ${title}\n`)
    trails.push(await tellStory(world, world.apis[framework], binding))
    say()
  }
} finally {
  await world.close()
}

for (const [index, { framework }] of chapters.entries()) {
  const lines = auditLines(sinks[framework].events)
  say(`== The audit trail of the ${framework} API: who really called, and for whom\n`)
  say(`${lines.join('\n')}\n`)
  assert.deepEqual(lines, trails[index])
}
say('All as expected.')
