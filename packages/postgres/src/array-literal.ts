/**
 * A list as PostgreSQL reads one (8.15.2, array input): `{"a","b",NULL,5}`. What `pg` itself makes of a list is the same, at a
 * third of the speed, and this is done with every record.
 */
export function arrayLiteral(values: readonly (string | number | null)[]): string {
  return `{${values.map(elementOf).join(',')}}`
}

/** In quotes a text stands for itself, also where it is empty, `NULL` or has commas and braces; two characters are escaped. */
function elementOf(value: string | number | null): string | number {
  if (typeof value === 'string') return `"${value.replace(/["\\]/g, '\\$&')}"`
  return value ?? 'NULL'
}
