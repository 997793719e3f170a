// #region koa
import { resourceServer } from '@behalf/koa'
import Router from '@koa/router'
import Koa from 'koa'
import { options } from './security-events-options.js' // as above

const api = resourceServer(options)
const router = new Router()
router.post('/security-events', api.securityEvents())

const app = new Koa()
app.use(router.routes()) // before authenticate() and body parsers

// #endregion koa

export { app }
