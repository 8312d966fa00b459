import { AppError } from './errors.ts'

/** Normalised full path of a node: `/a/b/c`, or `/` for the root. Compared as UTF-8 bytes. */
export type NodePath = string & { readonly __brand: 'NodePath' }

export const ROOT = '/' as NodePath
const MAX_SEGMENTS = 64
const MAX_NAME_LENGTH = 1024
/** What a row of a PostgreSQL B-tree takes is 2,704 bytes; the same limit everywhere, so that clusters can take each other's paths. */
const MAX_PATH_BYTES = 2_600
const CONTROL = /[\u0000-\u001f]/

/**
 * The one path rule of the system (core.md 7.2): `\` is `/`, segments are trimmed, empty ones and `.` dropped, `..` removes the
 * previous one and never climbs out. Input is already percent-decoded. No Unicode normalisation.
 * @throws AppError PATH_INVALID for a control character, half a surrogate pair, a name over 1024 characters, over 64 segments or
 * 2600 bytes.
 */
export function normalisePath(raw: string): NodePath {
  if (CONTROL.test(raw)) throw invalidPath(raw, 'it holds a control character')
  if (!raw.isWellFormed()) throw invalidPath(raw, 'it holds half a surrogate pair')
  const segments: string[] = []
  for (const part of raw.replaceAll('\\', '/').split('/')) {
    const name = part.trim()
    if (name === '' || name === '.') continue
    if (name === '..') {
      segments.pop()
      continue
    }
    if (name.length > MAX_NAME_LENGTH) throw invalidPath(raw, `a name is longer than ${MAX_NAME_LENGTH} characters`)
    segments.push(name)
  }
  if (segments.length > MAX_SEGMENTS) throw invalidPath(raw, `it has more than ${MAX_SEGMENTS} levels`)
  const path = `/${segments.join('/')}`
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw invalidPath(raw, `it is longer than ${MAX_PATH_BYTES} bytes`)
  return path as NodePath
}

function invalidPath(raw: string, why: string): AppError {
  const shown = raw.length > 80 ? `${raw.slice(0, 80)}…` : raw
  return new AppError(
    'PATH_INVALID',
    `Path [${shown.toWellFormed().replaceAll(/[\u0000-\u001f]/g, '\ufffd')}] is invalid: ${why}`,
    {},
  )
}

/** `/a/b` → `/a`; the parent of a top-level name and of the root is the root. */
export function parentOf(path: NodePath): NodePath {
  const cut = path.lastIndexOf('/')
  return cut <= 0 ? ROOT : (path.slice(0, cut) as NodePath)
}
/** `/a/b` → `b`; the root has an empty name. */
export const nameOf = (path: NodePath): string => path.slice(path.lastIndexOf('/') + 1)
/** `/a/b/c` → [`/a`, `/a/b`]; the root is no folder row. */
export function ancestorsOf(path: NodePath): NodePath[] {
  const found: NodePath[] = []
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) found.push(path.slice(0, at) as NodePath)
  return found
}
/** True when `path` is `top` or lies below it, on segment boundaries. */
export function isWithin(path: NodePath, top: NodePath): boolean {
  return top === ROOT || path === top || path.startsWith(`${top}/`)
}
/** Order of both databases: UTF-8 bytes, which JavaScript's string order is not outside the basic plane. */
export function comparePaths(a: string, b: string): number {
  if (OUTSIDE_BASIC_PLANE.test(a) || OUTSIDE_BASIC_PLANE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : a > b ? 1 : 0
}
const OUTSIDE_BASIC_PLANE = /[\ud800-\udfff]/
