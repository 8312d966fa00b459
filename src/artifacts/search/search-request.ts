import { invalid } from '../../core/errors.ts'
import { type PageRequest, pageOffset, pageRequest } from '../../core/paging.ts'
import type { SearchRule } from '../../core/search-rule.ts'
import { objectAt, parseRule, pinProject, type RuleWords, textAt, tooLarge } from './rule-parser.ts'

export interface SearchOrder {
  /** A field that the vocabulary sorts by. */
  readonly field: string
  readonly direction: 'asc' | 'desc'
}

/** A search as it is meant. Field names are those of the wire. */
export interface SearchRequest {
  readonly project: string
  /** All of them hold. */
  readonly rules: readonly SearchRule[]
  /** Empty: in the order of the index that serves the search. */
  readonly order: readonly SearchOrder[]
  /** Fields to return; undefined: all. `metadata.<key>` may be among them. */
  readonly select: readonly string[] | undefined
  readonly page: PageRequest
}

export interface SearchWords extends RuleWords {
  readonly sortable: readonly string[]
  readonly selectable: readonly string[]
}

/** Matches that can be counted and paged through; beyond, a search must say more. */
export const COUNTED_MATCHES = 10_000
const MAX_SELECTED = 100
const MAX_SORTED = 5

/**
 * Reads the body of a search (core.md 9).
 * @throws AppError PARAMETER_MISSING, PARAMETER_INVALID, OPTION_NOT_BUILT, naming the place; QUERY_TOO_LARGE for a page beyond the
 * first 10,000 matches, and what `parseRule` refuses.
 */
export function parseSearch(body: unknown, words: SearchWords): SearchRequest {
  const json = objectAt(body, 'body')
  const { project, rules } = pinProject(parseRule(json.rule, words))
  const page = parsePage(json.page)
  return { project, rules, page, order: parseSort(json.sort, words), select: parseSelect(json.select, words) }
}

function parsePage(value: unknown): PageRequest {
  const json = value === undefined || value === null ? {} : objectAt(value, 'page')
  const number = (name: string): number | undefined => {
    const given = json[name] ?? undefined
    if (given !== undefined && !Number.isSafeInteger(given)) throw invalid(`page.${name}`, 'it must be a whole number')
    return given as number | undefined
  }
  const page = pageRequest(number('pageNumber'), number('pageSize'))
  if (pageOffset(page) + page.pageSize > COUNTED_MATCHES) {
    throw tooLarge(
      'page',
      `pages reach the first ${COUNTED_MATCHES} matches; narrow the rule, or go on from the last value`,
    )
  }
  return page
}

function parseSort(value: unknown, { sortable }: SearchWords): SearchOrder[] {
  if (value === undefined || value === null) return []
  const json = objectAt(value, 'sort')
  const direction = textAt(json.direction ?? 'ASC', 'sort.direction').toLowerCase()
  if (direction !== 'asc' && direction !== 'desc') throw invalid('sort.direction', 'it must be ASC or DESC')
  const fields = textsAt(json.properties ?? [], 'sort.properties')
  if (fields.length > MAX_SORTED) throw tooLarge('sort.properties', `at most ${MAX_SORTED} of them`)
  for (const [index, field] of fields.entries()) {
    if (!sortable.includes(field)) {
      throw invalid(`sort.properties[${index}]`, `it must be one of ${sortable.join(', ')}`)
    }
  }
  return [...new Set(fields)].map((field) => ({ field, direction }))
}

function parseSelect(value: unknown, { selectable, metadata }: SearchWords): string[] | undefined {
  if (value === undefined || value === null) return undefined
  const fields = textsAt(value, 'select')
  if (fields.length > MAX_SELECTED) throw tooLarge('select', `at most ${MAX_SELECTED} fields`)
  for (const [index, field] of fields.entries()) {
    const isEntry = metadata === 'searched' && /^metadata\../s.test(field)
    if (!isEntry && !selectable.includes(field)) {
      throw invalid(`select[${index}]`, `it must be one of ${selectable.join(', ')}`)
    }
  }
  return fields.length === 0 ? undefined : fields
}

function textsAt(value: unknown, place: string): string[] {
  if (!Array.isArray(value)) throw invalid(place, 'it must be a list')
  return value.map((one, index) => textAt(one, `${place}[${index}]`))
}
