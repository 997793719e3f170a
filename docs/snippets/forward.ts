import { AuthError } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express, { type NextFunction, type Request, type Response } from 'express'

// #region forward
const api = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' })],
  refusals: 'forward',
})

const app = express()
app.use(api.authenticate())
app.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
  if (!(error instanceof AuthError)) return next(error)
  res.status(error.status).set(error.headers).json({ code: error.code, message: error.message })
})

// #endregion forward

export { api, app }
