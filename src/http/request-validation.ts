import type { FastifySchemaCompiler } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import { Value } from 'typebox/value'
import { AppError, empty, invalid, missing } from '../core/errors.ts'

const DOCUMENTED = 'x-checked-by-use-case'

/**
 * A body that the OpenAPI document shows but that the edge lets through as it came (any JSON, null when there is none): its rules are
 * a use case's, which reads it by `core/request-fields.ts`. For what JSON Schema cannot say, such as enums of any case.
 */
export function documented(schema: TSchema) {
  return Type.Unsafe<unknown>({ ...schema, [DOCUMENTED]: true })
}

/**
 * Compiles a TypeBox schema of a route. Null in place of an optional field counts as absent, unknown fields stay and are ignored;
 * numbers and booleans of queries and parameters are converted from text, those of bodies are not.
 */
export const requestValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (DOCUMENTED in schema) return (value: unknown) => ({ value })
  const compiled = Compile(schema)
  const named = withoutWildcard(schema)
  const isText = isAllText(named)
  const convert = (input: object) => (isText || Object.keys(input).length === 0 ? input : Value.Convert(named, input))
  return (input: unknown) => {
    const value =
      httpPart === 'body' ? withoutNulls(schema, input) : convert((input as object | null | undefined) ?? {})
    if (!compiled.Check(value)) return { error: refusal(httpPart === 'body', compiled.Errors(value), value) }
    const unstorable = findUnstorable(value, '')
    return unstorable === undefined ? { value: value as Static<TSchema> } : { error: unstorable }
  }
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, TSchema & { readonly type?: string }>>
  readonly items?: TSchema
}

/** The router's name for the rest of a path, `*`, is text already; the conversion would take it for a pattern. */
function withoutWildcard(schema: TSchema): TSchema {
  const { properties } = schema as ObjectSchema
  if (properties === undefined || !Object.hasOwn(properties, '*')) return schema
  const { '*': _rest, ...named } = properties
  return Type.Object(named)
}

const isAllText = ({ properties = {} }: ObjectSchema): boolean =>
  Object.values(properties).every(({ type }) => type === 'string')

/** `null` for a field that has a type but not that of null is the way many clients leave a field out. */
function withoutNulls(schema: TSchema, value: unknown): unknown {
  const { properties, items } = schema as ObjectSchema
  if (Array.isArray(value)) return items === undefined ? value : value.map((item) => withoutNulls(items, item))
  if (properties === undefined || typeof value !== 'object' || value === null) return value
  const kept: Record<string, unknown> = {}
  for (const [name, inner] of Object.entries(value)) {
    const property = Object.hasOwn(properties, name) ? properties[name]! : undefined
    if (inner === null && property?.type !== undefined && property.type !== 'null') continue
    kept[name] = property === undefined ? inner : withoutNulls(property, inner)
  }
  return kept
}

/** What neither database keeps as it is: NUL, and half of a surrogate pair. */
function findUnstorable(value: unknown, name: string): AppError | undefined {
  if (typeof value === 'string') {
    if (value.includes('\u0000')) return invalid(name, 'it holds a NUL character')
    return value.isWellFormed() ? undefined : invalid(name, 'it is not well-formed Unicode')
  }
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${name}[${key}]` : name === '' ? key : `${name}.${key}`
    const found = key === '*' ? undefined : (findUnstorable(key, at) ?? findUnstorable(inner, at))
    if (found !== undefined) return found
  }
  return undefined
}

const TYPE_KEYWORDS: ReadonlySet<string> = new Set(['type', 'const', 'enum', 'anyOf', 'oneOf'])

/** The one refusal of a request part that has several faults: absence first, then emptiness and bounds, then types. */
function refusal(body: boolean, errors: readonly TLocalizedValidationError[], value: unknown): AppError {
  const fault =
    errors.find(({ keyword }) => keyword === 'required') ??
    errors.find(({ keyword }) => !TYPE_KEYWORDS.has(keyword)) ??
    errors.find(({ keyword }) => keyword !== 'anyOf') ??
    errors[0]
  if (fault === undefined) return new AppError('REQUEST_CONTENT_INVALID', 'Invalid request content')
  const name = fieldName(fault.instancePath)
  if (fault.keyword === 'required') {
    return missing([name, fault.params.requiredProperties[0]].filter((part) => part !== '').join('.'))
  }
  const bound = 'limit' in fault.params ? fault.params.limit : undefined
  if (fault.keyword === 'minLength' || fault.keyword === 'minItems' || fault.keyword === 'minProperties') {
    return sizeAt(value, fault.instancePath) === 0 ? empty(name) : invalid(name, `at least ${bound}`)
  }
  if (!TYPE_KEYWORDS.has(fault.keyword)) return invalid(name, fault.message)
  const why = `${name === '' ? 'it' : `[${name}]`} ${typeMessage(errors, fault)}`
  return body
    ? new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${why}`, { name })
    : new AppError('PARAMETER_VALIDATION_FAILED', `Parameter ${why}`, { name })
}

/** One of several constants reads as a list of them, not as the first of them. */
function typeMessage(errors: readonly TLocalizedValidationError[], fault: TLocalizedValidationError): string {
  const constants = errors.flatMap((error) =>
    error.keyword === 'const' && error.instancePath === fault.instancePath ? [String(error.params.allowedValue)] : [],
  )
  return constants.length > 1 ? `must be one of ${constants.join(', ')}` : fault.message
}

const segmentsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

/** `/replicaTaskObjects/0/repoType` → `replicaTaskObjects[0].repoType`. */
function fieldName(pointer: string): string {
  return segmentsOf(pointer).reduce(
    (name, part) => (/^\d+$/.test(part) ? `${name}[${part}]` : name === '' ? part : `${name}.${part}`),
    '',
  )
}

function sizeAt(value: unknown, pointer: string): number | undefined {
  let at = value
  for (const part of segmentsOf(pointer)) at = (at as Record<string, unknown> | undefined)?.[part]
  if (typeof at === 'string' || Array.isArray(at)) return at.length
  return typeof at === 'object' && at !== null ? Object.keys(at).length : undefined
}
