import { AppError } from '../core/errors.ts'
import { chosen } from '../core/request-fields.ts'

/**
 * An enum of a query: any case, `-` equals `_`; absent and empty mean any.
 * @throws AppError PARAMETER_VALIDATION_FAILED (replication.md 8: unknown enum in a query).
 */
export function queryChoice<T extends string>(
  name: string,
  text: string | undefined,
  values: readonly T[],
): T | undefined {
  if (text === undefined || text === '') return undefined
  const choice = chosen(text, values)
  if (choice !== undefined) return choice
  throw new AppError('PARAMETER_VALIDATION_FAILED', `Parameter [${name}] must be one of ${values.join(', ')}`, { name })
}

/** Absent and empty filters mean the same. */
export const given = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
