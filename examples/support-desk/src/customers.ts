import { partyKey } from '@behalf/core'

/** What the shop knows of a customer. */
export interface Customer {
  readonly name: string
  address: string
  readonly orders: readonly string[]
}

/** Customers by issuer and id. */
export class Customers {
  readonly #byKey = new Map<string, Customer>()

  add(issuer: string, id: string, customer: Customer): void {
    this.#byKey.set(partyKey({ issuer, id }), customer)
  }

  of(party: Parameters<typeof partyKey>[0]): Customer {
    const customer = this.#byKey.get(partyKey(party))
    if (customer === undefined) throw new Error('no such customer')
    return customer
  }
}
