import { randomUUID } from 'node:crypto'
import { type Party, partyKey } from '@behalf/core'
import type { Database } from './database.js'

/** A customer's word that an agent may act. */
export interface StoredConsent {
  readonly id: string
  /** Why, in the customer's words; one line. */
  readonly purpose: string
  /** Seconds since the epoch. */
  readonly endsAt: number
  readonly withdrawn: boolean
}

/** Consents, in PostgreSQL. Nobody is ever looked up by an id alone: the same id at two issuers is two people. */
export interface Consents {
  /** @returns the new consent's id */
  give(customer: Party, agent: Pick<Party, 'issuer' | 'id'>, purpose: string, endsAt: number): Promise<string>
  /** @returns whether the customer has such a consent, and had not withdrawn it before */
  withdraw(customer: Party, id: string): Promise<boolean>
  /** The last one that a customer has given to an agent, whatever has become of it. */
  last(customer: Party, agent: Pick<Party, 'issuer' | 'id'>): Promise<StoredConsent | null>
}

const TABLE = 'behalf_example.consents'

export async function createConsents(database: Database): Promise<Consents> {
  await database.query('create schema if not exists behalf_example')
  await database.query(
    `create table if not exists ${TABLE} (
      id text primary key,
      number bigint generated always as identity,
      customer text not null,
      agent text not null,
      purpose text not null,
      ends_at timestamptz not null,
      withdrawn_at timestamptz
    )`,
  )
  await database.query(`create index if not exists consents_by_parties on ${TABLE} (customer, agent, number)`)

  return {
    async give(customer, agent, purpose, endsAt) {
      const id = `consent-${randomUUID()}`
      await database.query(
        `insert into ${TABLE} (id, customer, agent, purpose, ends_at) values ($1, $2, $3, $4, to_timestamp($5::float8))`,
        [id, partyKey(customer), partyKey(agent), purpose, endsAt],
      )
      return id
    },

    async withdraw(customer, id) {
      const rows = await database.query(
        `update ${TABLE} set withdrawn_at = now() where id = $1 and customer = $2 and withdrawn_at is null returning id`,
        [id, partyKey(customer)],
      )
      return rows.length === 1
    },

    async last(customer, agent) {
      const [row] = await database.query<StoredConsent>(
        `select id, purpose, extract(epoch from ends_at)::float8 as "endsAt", withdrawn_at is not null as withdrawn
         from ${TABLE} where customer = $1 and agent = $2 order by number desc limit 1`,
        [partyKey(customer), partyKey(agent)],
      )
      return row ?? null
    },
  }
}

/** Takes away what {@link createConsents} has made. */
export async function dropConsents(database: Database): Promise<void> {
  await database.query('drop schema if exists behalf_example cascade')
}
