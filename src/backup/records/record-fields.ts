import { AppError } from '../../core/errors.ts'
import type { MetadataEntry } from '../../core/metadata.ts'
import { checkMetadata, metadataFromMap } from '../../core/metadata.ts'
import { isProjectName, isRepositoryName } from '../../core/names.ts'
import { type NodePath, normalisePath, ROOT } from '../../core/paths.ts'

/** Epoch milliseconds of a date-time, in the server's zone where it names none. @throws AppError PARAMETER_INVALID. */
export type ParseTime = (name: string, value: unknown) => number

/** Fields of one record. What is absent or null is undefined. @throws AppError ARTIFACT_BROKEN naming the field. */
export interface RecordFields {
  raw(name: string): unknown
  text(name: string): string | undefined
  requiredText(name: string): string
  flag(name: string): boolean | undefined
  /** Not below zero. */
  count(name: string): number | undefined
  /** UTC epoch milliseconds. */
  time(name: string): number | undefined
  requiredTime(name: string): number
  project(name: string): string
  repository(name: string): string
  /** Normalised already: nothing that climbs, nothing that changes on its way to a path. */
  path(name: string): NodePath
  texts(name: string): string[]
  /** A JSON object, or the text of one. */
  object(name: string): Readonly<Record<string, unknown>> | undefined
  /** A list of entries, or a map of keys to values. */
  metadata(name: string): MetadataEntry[]
}

export const brokenRecord = (why: string): AppError => new AppError('ARTIFACT_BROKEN', `The record is broken: ${why}`)

/** @param record a JSON object. */
export function recordFields(record: unknown, parseTime: ParseTime): RecordFields {
  if (!isObject(record)) throw brokenRecord('it is no JSON object')
  const raw = (name: string): unknown => (Object.hasOwn(record, name) ? (record[name] ?? undefined) : undefined)
  const refuse = (name: string, why: string) => brokenRecord(`[${name}] ${why}`)

  function text(name: string): string | undefined {
    const found = raw(name)
    if (found === undefined) return undefined
    if (typeof found !== 'string') throw refuse(name, 'is no text')
    if (UNSTORABLE.test(found) || !found.isWellFormed()) throw refuse(name, 'holds what no database keeps')
    return found
  }
  function required<T>(name: string, found: T | undefined): T {
    if (found === undefined) throw refuse(name, 'is missing')
    return found
  }
  function named(name: string, isName: (text: string) => boolean): string {
    const found = required(name, text(name))
    if (!isName(found)) throw refuse(name, 'is no name')
    return found
  }
  function time(name: string): number | undefined {
    const found = raw(name)
    if (found === undefined) return undefined
    const quick = typeof found === 'string' && UTC_TIME.test(found) ? Date.parse(found) : Number.NaN
    return Number.isNaN(quick) ? parsed(name, found) : quick
  }
  function parsed(name: string, value: unknown): number {
    try {
      return parseTime(name, value)
    } catch {
      throw refuse(name, 'is no date-time')
    }
  }
  return {
    raw,
    text,
    requiredText: (name) => required(name, text(name)),
    flag(name) {
      const found = raw(name)
      if (found !== undefined && typeof found !== 'boolean') throw refuse(name, 'is neither true nor false')
      return found
    },
    count(name) {
      const found = raw(name)
      if (found === undefined) return undefined
      if (!Number.isSafeInteger(found) || (found as number) < 0) throw refuse(name, 'is no whole number')
      return found as number
    },
    time,
    requiredTime: (name) => required(name, time(name)),
    project: (name) => named(name, isProjectName),
    repository: (name) => named(name, isRepositoryName),
    path(name) {
      const found = required(name, text(name))
      if (found === ROOT || normalOrNothing(found) !== found) throw refuse(name, 'is no path')
      return found as NodePath
    },
    texts(name) {
      const found = raw(name) ?? []
      if (!Array.isArray(found) || found.some((item) => typeof item !== 'string'))
        throw refuse(name, 'is no list of texts')
      return found as string[]
    },
    object(name) {
      const found = raw(name)
      if (found === undefined) return undefined
      const value = typeof found === 'string' ? parsedJson(found) : found
      if (!isObject(value)) throw refuse(name, 'is no JSON object')
      if (isDeep(value)) throw refuse(name, TOO_DEEP)
      return value
    },
    metadata(name) {
      const found = raw(name) ?? []
      if (isDeep(found)) throw refuse(name, TOO_DEEP)
      try {
        return [...checkMetadata(Array.isArray(found) ? found.map(entryOf) : metadataFromMap(mapOf(found)))]
      } catch (error) {
        throw refuse(name, error instanceof AppError ? `is refused: ${error.message}` : 'is no list of entries')
      }
    },
  }
}

const MAX_DEPTH = 100
const TOO_DEEP = `is nested more than ${MAX_DEPTH} levels deep`
/** What is this deep nobody made in earnest, and whoever walks through it runs out of stack. */
export const isDeep = (value: unknown, levels = MAX_DEPTH): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeep(inner, levels - 1)))

const UNSTORABLE = /\0/
/** What this server writes; the general way takes ten times as long. */
const UTC_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function normalOrNothing(path: string): string | undefined {
  try {
    return normalisePath(path)
  } catch {
    return undefined
  }
}
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new TypeError('no map')
  return value
}
function entryOf(value: unknown): MetadataEntry {
  if (!isObject(value) || typeof value.key !== 'string') throw new TypeError('no entry')
  const { key, value: kept = null, system, description, link, color } = value
  return {
    key,
    value: kept,
    ...(system === true ? { system } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...(typeof link === 'string' ? { link } : {}),
    ...(typeof color === 'string' ? { color } : {}),
  }
}
