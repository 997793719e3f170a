/** Type tests: an application types the claims of its own. In a program, this holds for every context. */
import type { AuthContext, JsonValue } from '@behalf/core'

declare module '@behalf/core' {
  interface CustomClaims {
    department?: string
    cost_centers?: readonly number[]
  }
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Claim extends true>(): void => {}

export function departmentOf({ claims }: AuthContext): string {
  const { department, cost_centers: costCenters } = claims
  holds<Same<typeof department, string | undefined>>()
  holds<Same<typeof costCenters, readonly number[] | undefined>>()
  const other = claims['something_else']
  holds<Same<typeof other, JsonValue | undefined>>()
  // @ts-expect-error a department is no number
  const wrong: number | undefined = claims.department
  // @ts-expect-error nothing in a context can be changed
  claims.department = 'sales'
  void wrong
  return department ?? 'none'
}
