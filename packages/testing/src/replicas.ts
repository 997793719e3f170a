import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'

/** Something under test of which several replicas share what they know. */
interface ReplicasUnderTest<Replica> {
  readonly replicas: readonly Replica[]
}

/** One promise of a contract, by its name. */
interface ContractCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/**
 * How the cases of a contract are made.
 * @param create what each case has for itself; its replicas are closed at the end, also where the promise is broken
 */
export function casesOf<Under extends ReplicasUnderTest<{ close?(): Promise<void> }>>(
  create: () => Promise<Under> | Under,
): (name: string, run: (under: Under) => Promise<void>) => ContractCase {
  return (name, run) => ({
    name,
    run: async () => {
      const under = await create()
      try {
        await run(under)
      } finally {
        for (const replica of under.replicas) await replica.close?.()
      }
    },
  })
}

export function first<Replica>({ replicas: [replica] }: ReplicasUnderTest<Replica>): Replica {
  assert(replica !== undefined, 'there must be a replica to be tested')
  return replica
}

/** Another one than the first, where there is one. */
export function last<Replica>({ replicas }: ReplicasUnderTest<Replica>): Replica {
  const replica = replicas.at(-1)
  assert(replica !== undefined, 'there must be a replica to be tested')
  return replica
}

/** A name for a proof, or for what is revoked, that nobody has heard of: a SHA-256 hash in base64url. */
export function freshName(): string {
  return createHash('sha256').update(randomUUID()).digest('base64url')
}
