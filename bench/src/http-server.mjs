// One application in one guarded state, in a process of its own; tells its parent what it has served, and what that cost.
import { performance } from 'node:perf_hooks'

const { guards, framework, guard, algorithm, environment } = JSON.parse(process.argv[2])
const { guardNamed } = await import(guards)
let served = 0
const answer = () => {
  served++
  return { orders: ['a-1', 'a-2'] }
}

async function listenExpress(middleware) {
  const { default: express } = await import('express')
  const app = express()
  app.get('/orders', ...middleware, (_request, response) => response.json(answer()))
  // Express prints refusals by default; those of the check before the load would only be noise.
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).end())
  return app.listen(0, '127.0.0.1')
}

async function listenKoa(middleware) {
  const { default: Koa } = await import('koa')
  const app = new Koa()
  app.silent = true
  for (const each of middleware) app.use(each)
  app.use((context) => {
    context.body = answer()
  })
  return app.listen(0, '127.0.0.1')
}

const middleware = await guardNamed(guard)[framework](environment, algorithm)
const server = await (framework === 'express' ? listenExpress(middleware) : listenKoa(middleware))
if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ served, cpuMicroseconds: user + system, at: performance.now() })
})
process.once('disconnect', () => process.exit(0)) // a parent that died must not leave servers behind
process.send({ port: server.address().port })
