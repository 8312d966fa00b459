import { AppError, empty, invalid, missing } from './errors.ts'

/**
 * Fields of one JSON object of a request. Null counts as absent, unknown fields are never looked at. Refusals carry the codes of
 * replication.md 0.6: PARAMETER_MISSING, PARAMETER_EMPTY (blank), PARAMETER_INVALID (a character that cannot be stored), and
 * REQUEST_CONTENT_INVALID for a wrong type or an unknown enum value; all name the field.
 */
export interface RequestFields {
  /** The value as it came; undefined when absent or null. */
  raw(name: string): unknown
  /** Neither absent nor blank. Not trimmed. */
  requiredText(name: string): string
  text(name: string): string | undefined
  flag(name: string): boolean | undefined
  integer(name: string): number | undefined
  /** Matched without regard to case, `-` equal to `_`. */
  choice<T extends string>(name: string, values: readonly T[]): T | undefined
  object(name: string): RequestFields | undefined
  list(name: string): readonly unknown[] | undefined
}

/** @throws AppError REQUEST_CONTENT_INVALID when `value` is no JSON object. @param what names it in the refusal. */
export function fieldsOf(value: unknown, what = 'the body'): RequestFields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unreadable(what, 'must be a JSON object')
  const raw = (name: string): unknown =>
    (Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : null) ?? undefined
  const text = (name: string) => {
    const found = raw(name)
    return found === undefined ? undefined : storableText(name, found)
  }
  return {
    raw,
    text,
    requiredText(name) {
      const found = text(name)
      if (found === undefined) throw missing(name)
      if (found.trim() === '') throw empty(name)
      return found
    },
    flag(name) {
      const found = raw(name)
      if (found !== undefined && typeof found !== 'boolean') throw unreadable(name, 'must be true or false')
      return found
    },
    integer(name) {
      const found = raw(name)
      if (found === undefined) return undefined
      if (!Number.isSafeInteger(found)) throw unreadable(name, 'must be a whole number')
      return found as number
    },
    choice(name, values) {
      const found = raw(name)
      if (found === undefined) return undefined
      const choice = typeof found === 'string' ? chosen(found, values) : undefined
      if (choice === undefined) throw unreadable(name, `must be one of ${values.join(', ')}`)
      return choice
    },
    object(name) {
      const found = raw(name)
      return found === undefined ? undefined : fieldsOf(found, name)
    },
    list(name) {
      const found = raw(name)
      if (found === undefined) return undefined
      if (!Array.isArray(found)) throw unreadable(name, 'must be an array')
      return found
    },
  }
}

/** Contract enums: any case, `-` equals `_` (replication.md 0.6). */
export function chosen<T extends string>(text: string, values: readonly T[]): T | undefined {
  const wanted = text.trim().toUpperCase().replaceAll('-', '_')
  return values.find((value) => value === wanted)
}

/** @throws AppError REQUEST_CONTENT_INVALID when it is no text, PARAMETER_INVALID for what a database does not keep as it is. */
export function storableText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw unreadable(name, 'must be text')
  if (value.includes('\u0000')) throw invalid(name, 'it holds a NUL character')
  if (!value.isWellFormed()) throw invalid(name, 'it is not well-formed Unicode')
  return value
}

export const unreadable = (name: string, why: string): AppError =>
  new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${name} ${why}`, { name })
