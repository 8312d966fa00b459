import { AppError, invalid, missing, notBuilt } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import { isNest, type SearchRule, type SearchScalar, type SearchTest } from '../../core/search-rule.ts'

/**
 * `path` a full path, `folder-path` the folder that something lies in; both are normalised when compared as a whole.
 * `hex` digits of either case. `json` the typed value of a metadata entry.
 */
export type FieldKind = 'text' | 'path' | 'folder-path' | 'hex' | 'number' | 'date' | 'flag' | 'json'

export interface RuleWords {
  readonly fields: Readonly<Record<string, FieldKind>>
  /** Whether `metadata.<key>` is a field. */
  readonly metadata: 'searched' | 'unknown'
  /** @throws AppError PARAMETER_INVALID naming `name`. @returns UTC epoch milliseconds. */
  parseTime(name: string, value: unknown): number
}

/** core.md 9; the rest is ours and far above what people write. */
const MAX_DEPTH = 8
const MAX_LEAVES = 50
const MAX_LIST = 1000
const MAX_LISTED = 5000
const MAX_TEXT = 4096
const MAX_STARS = 16

const EVERY = ['text', 'path', 'folder-path', 'hex', 'number', 'date', 'flag', 'json'] as const
const TEXTS = ['text', 'path', 'folder-path', 'json'] as const
const ORDERED = ['number', 'date', 'json'] as const
const OPERATIONS: Readonly<Record<string, readonly FieldKind[]>> = {
  EQ: EVERY,
  NE: EVERY,
  IN: EVERY,
  NIN: EVERY,
  NULL: EVERY,
  NOT_NULL: EVERY,
  PREFIX: TEXTS,
  SUFFIX: TEXTS,
  CONTAINS: TEXTS,
  MATCH: TEXTS,
  MATCH_I: TEXTS,
  LT: ORDERED,
  LTE: ORDERED,
  GT: ORDERED,
  GTE: ORDERED,
  BEFORE: ['date'],
  AFTER: ['date'],
}
const COMPARISONS = { LT: '<', LTE: '<=', GT: '>', GTE: '>=', BEFORE: '<', AFTER: '>' } as const
const METADATA = 'metadata.'

type Json = Readonly<Record<string, unknown>>

/**
 * Reads a rule of the search language (core.md 9): a leaf `{field, value, operation}` or a nest `{rules, relation}`.
 * @throws AppError PARAMETER_MISSING, PARAMETER_INVALID, OPTION_NOT_BUILT (REGEX), all naming the place, e.g. `rule.rules[1].value`;
 * QUERY_TOO_LARGE when it nests deeper than 8, has over 50 leaves or too long lists.
 */
export function parseRule(value: unknown, { fields, metadata, parseTime }: RuleWords): SearchRule {
  let leaves = 0
  let listed = 0

  function rule(given: unknown, place: string, depth: number): SearchRule {
    const json = objectAt(given, place)
    return json.rules === undefined || json.rules === null ? leaf(json, place) : nest(json, place, depth)
  }
  function nest(json: Json, place: string, depth: number): SearchRule {
    if (depth > MAX_DEPTH) throw tooLarge(place, `rules nest at most ${MAX_DEPTH} deep`)
    if (!Array.isArray(json.rules) || json.rules.length === 0)
      throw invalid(`${place}.rules`, 'it must be a list of rules')
    const relation = upper(json.relation ?? 'AND', `${place}.relation`)
    if (relation !== 'AND' && relation !== 'OR' && relation !== 'NOR') {
      throw invalid(`${place}.relation`, 'it must be AND, OR or NOR')
    }
    return { relation, rules: json.rules.map((inner, index) => rule(inner, `${place}.rules[${index}]`, depth + 1)) }
  }
  function leaf(json: Json, place: string): SearchRule {
    if (++leaves > MAX_LEAVES) throw tooLarge(place, `a search has at most ${MAX_LEAVES} conditions`)
    if (json.field === undefined || json.field === null) throw missing(`${place}.field`)
    const { field, key, kind } = target(textAt(json.field, `${place}.field`), `${place}.field`)
    const operation = upper(json.operation ?? 'EQ', `${place}.operation`)
    if (operation === 'REGEX' || operation === 'REGEX_I') {
      throw notBuilt(`operation [${operation}]`, 'comes with a later release; use MATCH')
    }
    const kinds = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation]! : undefined
    if (kinds === undefined) {
      throw invalid(`${place}.operation`, `it must be one of ${Object.keys(OPERATIONS).join(', ')}`)
    }
    if (!kinds.includes(kind)) throw invalid(`${place}.operation`, `[${operation}] does not apply to [${json.field}]`)
    const about = key === undefined ? { field } : { field, key }
    const negated = operation === 'NE' || operation === 'NIN' || operation === 'NULL'
    const found = { ...about, test: testOf(operation, kind, json.value, `${place}.value`) }
    return negated ? { relation: 'NOR', rules: [found] } : found
  }
  function target(name: string, place: string): { field: string; key?: string; kind: FieldKind } {
    if (metadata === 'searched' && name.startsWith(METADATA) && name.length > METADATA.length) {
      return { field: 'metadata', key: name.slice(METADATA.length), kind: 'json' }
    }
    if (!Object.hasOwn(fields, name)) {
      const others = metadata === 'searched' ? ' or metadata.<key>' : ''
      throw invalid(place, `it must be one of ${Object.keys(fields).join(', ')}${others}`)
    }
    return { field: name, kind: fields[name]! }
  }
  function testOf(operation: string, kind: FieldKind, given: unknown, place: string): SearchTest {
    if (operation === 'NULL' || operation === 'NOT_NULL') return { is: 'present' }
    if (given === undefined || given === null) throw missing(place)
    switch (operation) {
      case 'EQ':
      case 'NE':
        return { is: 'in', values: [scalar(kind, given, place)] }
      case 'IN':
      case 'NIN': {
        if (!Array.isArray(given)) throw invalid(place, 'it must be a list')
        listed += given.length
        if (given.length > MAX_LIST) throw tooLarge(place, `a list has at most ${MAX_LIST} values`)
        if (listed > MAX_LISTED) throw tooLarge(place, `the lists of a search have at most ${MAX_LISTED} values`)
        return { is: 'in', values: given.map((one, index) => scalar(kind, one, `${place}[${index}]`)) }
      }
      case 'PREFIX':
      case 'SUFFIX':
      case 'CONTAINS':
        return { is: operation.toLowerCase() as 'prefix' | 'suffix' | 'contains', text: wanted(given, place) }
      case 'MATCH':
      case 'MATCH_I': {
        const text = wanted(given, place)
        const parts = text.split('*')
        const isPlain = parts.length === 1 && operation === 'MATCH' && (kind === 'text' || kind === 'json')
        if (isPlain) return { is: 'in', values: [text] }
        if (parts.length > MAX_STARS + 1) throw tooLarge(place, `a pattern has at most ${MAX_STARS} stars`)
        return { is: 'match', parts, letters: operation === 'MATCH' ? 'exact' : 'any-case' }
      }
      default: {
        const value = kind === 'date' ? parseTime(place, given) : given
        if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(place, 'it must be a number')
        if (kind === 'number' && !Number.isSafeInteger(value)) throw invalid(place, 'it must be a whole number')
        return { is: COMPARISONS[operation as keyof typeof COMPARISONS], value }
      }
    }
  }
  function scalar(kind: FieldKind, given: unknown, place: string): SearchScalar {
    switch (kind) {
      case 'date':
        return parseTime(place, given)
      case 'number':
        if (!Number.isSafeInteger(given)) throw invalid(place, 'it must be a whole number')
        return given as number
      case 'flag':
        if (given === true || given === 'true') return true
        if (given === false || given === 'false') return false
        throw invalid(place, 'it must be true or false')
      case 'json':
        if (typeof given === 'boolean' || (typeof given === 'number' && Number.isFinite(given))) return given
        return textAt(given, place)
      case 'hex':
        return textAt(given, place).toLowerCase()
      case 'path':
      case 'folder-path':
        return pathAt(textAt(given, place), place)
      default:
        return textAt(given, place)
    }
  }
  const wanted = (given: unknown, place: string): string => {
    const text = textAt(given, place)
    if (text === '') throw invalid(place, 'it must not be empty')
    return text
  }
  return rule(value, 'rule', 1)
}

/**
 * The project that a rule is about, and what else it asks.
 * @throws AppError PARAMETER_INVALID unless its outermost AND pins `projectId` by EQ.
 */
export function pinProject(rule: SearchRule): { readonly project: string; readonly rules: readonly SearchRule[] } {
  const rules = isNest(rule) && rule.relation === 'AND' ? rule.rules : [rule]
  for (const [index, one] of rules.entries()) {
    if (isNest(one) || one.field !== 'projectId' || one.test.is !== 'in' || one.test.values.length !== 1) continue
    return { project: String(one.test.values[0]), rules: rules.toSpliced(index, 1) }
  }
  throw invalid('rule', 'its outermost AND must pin projectId by EQ')
}

export const tooLarge = (name: string, why: string): AppError =>
  new AppError('QUERY_TOO_LARGE', `The search [${name}] is too large: ${why}`, { name })

export function objectAt(value: unknown, place: string): Json {
  if (value === undefined || value === null) throw missing(place)
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid(place, 'it must be an object')
  return value as Json
}
export function textAt(value: unknown, place: string): string {
  if (typeof value !== 'string') throw invalid(place, 'it must be text')
  if (value.includes('\u0000') || !value.isWellFormed()) throw invalid(place, 'it holds what no text can')
  if (value.length > MAX_TEXT) throw invalid(place, `it has more than ${MAX_TEXT} characters`)
  return value
}
const upper = (value: unknown, place: string): string => textAt(value, place).trim().toUpperCase()

function pathAt(text: string, place: string): string {
  try {
    return normalisePath(text)
  } catch {
    throw invalid(place, 'it is no path')
  }
}
