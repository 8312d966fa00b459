/** SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY. */
const SQLITE_CODES: readonly unknown[] = [2067, 1555]
const POSTGRES_CODE = '23505'

/** A row with this key is there already; the transaction that tried is rolled back. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  return code === POSTGRES_CODE || SQLITE_CODES.includes(errcode)
}
