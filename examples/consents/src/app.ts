import type { AuditSink, DelegatedContext, IssuerOptions } from '@behalf/core'
import { type ExpressResourceServer, resourceServer } from '@behalf/express'
import '@behalf/express/request' // types req.auth
import express, { type Express } from 'express'
import type { Consents } from './consents.js'

const HOUR_SECONDS = 3600

/** How long the newsletter agent may go on without asking again, in seconds. */
const REMEMBERED_SECONDS = 5

/**
 * An API whose customers decide which agents may act for them.
 * @param now the clock, in milliseconds since the epoch
 */
export function createApp(
  issuer: IssuerOptions,
  sink: AuditSink,
  consents: Consents,
  now: () => number = Date.now,
): { app: Express; api: ExpressResourceServer } {
  /** What the table says about an actor and a subject; asked last, when the rule fits and its limits hold. */
  async function consentFor({ subject, actor }: DelegatedContext) {
    const consent = actor.id === null ? null : await consents.last(subject, actor)
    if (consent === null) return false
    const { id, purpose, endsAt, withdrawn } = consent
    return { allow: !withdrawn, consentId: id, expiresAt: endsAt, reason: purpose }
  }

  const api = resourceServer({
    issuers: [issuer],
    delegation: [
      {
        id: 'newsletter',
        kind: 'delegation',
        actor: { id: 'newsletter-agent', issuer: issuer.issuer },
        scopes: 'profile:read',
        // The answer is used again until it ends: sooner than the consent itself, so that a withdrawal is seen.
        async when(context) {
          const answer = await consentFor(context)
          const soon = now() / 1000 + REMEMBERED_SECONDS
          return answer === false ? false : { ...answer, expiresAt: Math.min(answer.expiresAt, soon) }
        },
        whenCache: true,
      },
      {
        id: 'agents',
        kind: 'delegation',
        actor: { profile: 'ai_agent', issuer: issuer.issuer },
        scopes: 'orders:read',
        when: consentFor,
      },
    ],
    audit: { sinks: [sink] },
    now,
  })

  const app = express()
  app.use(express.json(), api.authenticate())

  // Only in person: whoever could agree for somebody else would need no consent.
  app.post('/consents', api.guard({ kind: 'direct' }), async (req, res) => {
    const { agent, purpose } = req.body as { readonly agent?: unknown; readonly purpose?: unknown }
    if (
      typeof agent !== 'string' ||
      typeof purpose !== 'string' ||
      !/^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/.test(purpose)
    ) {
      res.status(400).json({ error: 'agent and purpose are needed; the purpose is one line' })
      return
    }
    const endsAt = now() / 1000 + HOUR_SECONDS
    const id = await consents.give(req.auth.subject, { issuer: issuer.issuer, id: agent }, purpose, endsAt)
    res.status(201).json({ id })
  })
  app.delete('/consents/:id', api.guard({ kind: 'direct' }), async (req, res) => {
    const withdrawn = await consents.withdraw(req.auth.subject, req.params.id)
    res.status(withdrawn ? 200 : 404).json({ withdrawn })
  })

  app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
    const { subject, consent } = req.auth
    res.json({ ordersOf: subject.id, because: consent?.reason ?? null })
  })
  app.get('/profile', api.guard({ scopes: 'profile:read' }), (req, res) => {
    res.json({ profileOf: req.auth.subject.id })
  })
  return { app, api }
}
