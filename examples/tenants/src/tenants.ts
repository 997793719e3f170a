/** One customer of this API, with an authorization server of its own. */
export interface Tenant {
  readonly name: string
  /** `iss` of its tokens, as it was agreed on when the tenant was set up. */
  readonly issuer: string
  /** `aud` of its tokens: this API's name at that issuer. */
  readonly audience: string
  readonly notes: readonly string[]
}

/** Stands for a table of the application's database. People fill it, after they have looked at a tenant; no request does. */
export class Tenants {
  readonly #byIssuer = new Map<string, Tenant>()

  add(tenant: Tenant): void {
    this.#byIssuer.set(tenant.issuer, tenant)
  }

  remove(issuer: string): void {
    this.#byIssuer.delete(issuer)
  }

  /** `SELECT … WHERE issuer = $1`: the whole text, compared exactly. */
  async byIssuer(issuer: string): Promise<Tenant | null> {
    return this.#byIssuer.get(issuer) ?? null
  }
}
