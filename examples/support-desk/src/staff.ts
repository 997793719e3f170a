import { type DelegatedContext, partyKey } from '@behalf/core'

/** The desk's roster: who of the support people is on duty now. */
export class Staff {
  readonly #onDuty = new Set<string>()

  arrives(issuer: string, id: string): void {
    this.#onDuty.add(partyKey({ issuer, id }))
  }

  leaves(issuer: string, id: string): void {
    this.#onDuty.delete(partyKey({ issuer, id }))
  }

  /**
   * Never by the id alone: `admin` at one issuer and `admin` at another are two people. Neither Curity nor Asgardeo says an
   * actor's issuer; that it is the token's own is known to this desk, so the desk says it here.
   */
  isOnDuty({ actor, token }: DelegatedContext): boolean {
    return actor.id !== null && this.#onDuty.has(partyKey({ ...actor, issuer: actor.issuer ?? token.issuer }))
  }
}
