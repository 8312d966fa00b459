import { isUtf8 } from 'node:buffer'
import { AppError, messageOf } from '../../core/errors.ts'
import type { Manifest } from './manifest.ts'
import { manifestDocument, manifestOf } from './manifest-shape.ts'

/** More is no manifest: a million repositories fit in. */
export const MOST_MANIFEST_BYTES = 512 * 1024 * 1024

/** The same manifest gives the same bytes: JSON with keys in order, without spaces, and one line end. */
export const manifestBytes = (manifest: Manifest): Buffer =>
  Buffer.from(`${JSON.stringify(inOrder(manifestDocument(manifest)))}\n`)

/** @throws AppError ARTIFACT_BROKEN saying what is wrong. Anybody may have written the bytes. */
export function parseManifest(bytes: Buffer): Manifest {
  if (!isUtf8(bytes)) throw brokenManifest('it is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch (error) {
    throw brokenManifest(`it is no JSON: ${messageOf(error).slice(0, 200)}`)
  }
  return manifestOf(value, brokenManifest)
}

export const brokenManifest = (why: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `The manifest of the backup is not to be trusted: ${why}`, {})

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, inOrder((value as Record<string, unknown>)[key])]))
}
