/** The pipeline's other end, a process of its own: pino's lines on stdin, who did what as whom on stdout. */
import { createInterface } from 'node:readline'
import { auditEventOf } from './pino-lines.js'
import { Story } from './story.js'

const story = new Story()
for await (const line of createInterface({ input: process.stdin })) {
  const event = auditEventOf(line)
  if (event === null) continue
  const sentence = story.take(event)
  if (sentence !== null) process.stdout.write(`${sentence}\n`)
}
for (const sentence of story.unfinished()) process.stdout.write(`${sentence}\n`)
