/** What text of an array has to escape. */
const SPECIAL = /["\\]/g

/**
 * A PostgreSQL array as text, for a parameter with a cast (`$1::text[]`). `pg` makes the same of a JS array, at several times the
 * cost: thousands of values are the larger half of writing a batch.
 */
export function arrayLiteral<Row>(rows: readonly Row[], of: (row: Row) => string | number | Uint8Array | null): string {
  let text = '{'
  for (let index = 0; index < rows.length; index++) {
    if (index > 0) text += ','
    const value = of(rows[index]!)
    if (value === null) text += 'NULL'
    else if (typeof value === 'number') text += value
    else if (typeof value === 'string') text += quoted(value)
    else text += `"\\\\x${hexOf(value)}"`
  }
  return `${text}}`
}

const quoted = (value: string): string =>
  value.includes('"') || value.includes('\\') ? `"${value.replace(SPECIAL, '\\$&')}"` : `"${value}"`

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
