import { LRUCache } from 'lru-cache'
import { AuthError } from '../errors.js'
import { andThen, type Eventual } from '../thenable.js'
import type { JsonObject } from '../token/json.js'
import { type ReferencePolicy, readReference, type StatusReference } from './reference.js'
import { RemoteList, type RemoteListOptions } from './remote-list.js'
import { type Statuses, statusAt } from './statuses.js'

/** Whether tokens of an issuer that uses status lists are still good. */
export interface StatusLists {
  /**
   * The reference in verified claims, `null` where there is none. Of claims alone: nothing is asked.
   * @throws {AuthError} `claim_invalid` for one that cannot be read, or followed; `claim_missing` where there has to be one
   */
  reference(claims: JsonObject): StatusReference | null
  /**
   * Whether a token is still good: at once where its list is fresh, else as soon as that is read. Throws or rejects otherwise. Only for
   * references of verified claims: whoever names the list causes a fetch.
   * @throws {AuthError} `token_revoked` for every status but 0, suspended and unknown ones too; `claim_invalid` beyond the list's end;
   *   `revocation_unavailable`
   */
  check(reference: StatusReference): Eventual<void>
  /** Ends what goes on in the background: a list is read only where a request waits for it. */
  close(): void
}

/** VALID (section 7.1). Every other status says that the token is not to be relied upon, or what nobody here knows. */
const VALID = 0

/** Memory that a list takes beside its statuses, in bytes, about. */
const LIST_BYTES = 2048

/** Status lists of one issuer: as many as are kept, those that were asked for longest ago give way to new ones. */
export class RemoteStatusLists implements StatusLists {
  readonly #policy: ReferencePolicy
  readonly #options: RemoteListOptions
  readonly #lists: LRUCache<string, RemoteList>
  readonly #closing = new AbortController()

  constructor(policy: ReferencePolicy, options: Omit<RemoteListOptions, 'closed'>) {
    this.#policy = policy
    this.#options = { ...options, closed: this.#closing.signal }
    this.#lists = new LRUCache<string, RemoteList>({
      max: options.limits.statusLists,
      maxSize: options.limits.statusListMemoryBytes + LIST_BYTES, // the largest list that is read is one that can be kept
      sizeCalculation: (list) => list.bytes + LIST_BYTES,
    })
  }

  reference(claims: JsonObject): StatusReference | null {
    return readReference(claims, this.#policy)
  }

  check({ uri, index }: StatusReference): Eventual<void> {
    return andThen(this.#listAt(uri).read(), (statuses) => requireValid(statuses, index))
  }

  close(): void {
    this.#closing.abort()
  }

  #listAt(uri: string): RemoteList {
    const known = this.#lists.get(uri)
    if (known !== undefined) return known
    const list = new RemoteList(uri, this.#options, (read) => this.#measure(uri, read))
    this.#lists.set(uri, list)
    return list
  }

  /** A list takes another amount of memory once it was read. One that has given way meanwhile does not come back. */
  #measure(uri: string, list: RemoteList): void {
    if (this.#lists.peek(uri) !== list) return
    this.#lists.delete(uri) // setting the same value again would not measure it
    this.#lists.set(uri, list)
  }
}

function requireValid(statuses: Statuses, index: number): void {
  const status = statusAt(statuses, index)
  if (status === null) throw new AuthError('claim_invalid')
  if (status !== VALID) throw new AuthError('token_revoked')
}
