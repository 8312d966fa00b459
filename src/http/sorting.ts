import { Type } from 'typebox'
import { invalid } from '../core/errors.ts'

const Texts = Type.Union([Type.String(), Type.Array(Type.String())])

/** Spread into the query schema of a listing that can be sorted. Repeated, or separated by commas. */
export const SORT_FIELDS = {
  sortProperty: Type.Optional(Texts),
  direction: Type.Optional(Texts),
}

/** A query parameter that is given once, repeatedly, or as one list with commas. */
export const listOf = (value: string | readonly string[] | undefined): string[] =>
  [value ?? []]
    .flat()
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '')

/**
 * `sortProperty` and `direction` pair up in order; a missing direction is ASC. `keys` maps wire names to ours.
 * @throws AppError PARAMETER_INVALID naming the parameter.
 */
export function orderOf<K extends string>(
  query: { sortProperty?: string | string[]; direction?: string | string[] },
  keys: Readonly<Record<string, K>>,
): { key: K; direction: 'asc' | 'desc' }[] {
  const directions = listOf(query.direction).map((text) => {
    const direction = text.toLowerCase()
    if (direction !== 'asc' && direction !== 'desc') throw invalid('direction', 'it must be ASC or DESC')
    return direction
  })
  return listOf(query.sortProperty).map((name, index) => {
    if (!Object.hasOwn(keys, name)) throw invalid('sortProperty', `it must be one of ${Object.keys(keys).join(', ')}`)
    return { key: keys[name]!, direction: directions[index] ?? 'asc' }
  })
}
