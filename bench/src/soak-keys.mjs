// An issuer's key endpoint, in a process of its own, that gets into any trouble it is told; counts what it is asked.
import { createServer } from 'node:http'

const HUGE_BYTES = 64 * 2 ** 20
const CHUNK = Buffer.alloc(64 * 1024, ' ')

let jwks = { keys: [] }
let trouble = null
let fetches = 0
let mostSent = 0

const server = createServer((_request, response) => {
  fetches++
  if (trouble === 'hangs') return
  if (trouble === 'is down') {
    response.socket.destroy()
    return
  }
  response.setHeader('content-type', 'application/json')
  if (trouble === 'answers 64 MiB') {
    sendMuch(response)
    return
  }
  response.end(JSON.stringify(jwks))
})

/** White space without end is a JSON text that has only just begun. */
function sendMuch(response) {
  const { socket } = response
  const before = socket.bytesWritten // a connection may have answered before
  let left = HUGE_BYTES
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= CHUNK.length
      if (!response.write(CHUNK)) {
        response.once('drain', more)
        return
      }
    }
    response.end()
  }
  response.once('close', () => {
    mostSent = Math.max(mostSent, socket.bytesWritten - before)
  })
  more()
}

process.on('message', (message) => {
  if (message.jwks !== undefined) jwks = message.jwks
  if (message.trouble !== undefined) trouble = message.trouble
  process.send({ fetches, mostSent })
})
process.once('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
