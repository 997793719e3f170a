/**
 * Type tests of a program that does not ask for `req.auth`: another library may type it as it likes. This needs a program of its
 * own, since an augmentation holds for a whole program.
 */
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express from 'express'

const api = resourceServer({ issuers: [oauth({ issuer: 'https://as.example.test', audience: 'https://api.example.test' })] })

express().get('/orders/:id', api.authenticate(), api.guard(), (request, response) => {
  // @ts-expect-error without `import '@behalf/express/request'` there is no such member
  request.auth
  response.json({ id: request.params.id, subject: api.contextOf(request)?.subject.id })
})
