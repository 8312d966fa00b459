import { hash } from 'node:crypto'
import type { Manifest } from '../../manifest/manifest.ts'
import { manifestDocument, manifestOf } from '../../manifest/manifest-shape.ts'
import { brokenObject, OBJECT_ID_BYTES } from './object-seal.ts'
import type { ObjectIdentity } from './sealed-object.ts'

/** A run. What its contents are, its record parts tell (`needs`). */
export interface Snapshot {
  readonly manifest: Manifest
  /** Hex digests that records name, but whose contents were not to be had when it was made. */
  readonly missing: readonly string[]
}

export const snapshotName = (name: string): string => `snapshots/${name}`
/** A snapshot that was given another name does not open. */
export const snapshotIdentity = (name: string, master: Buffer | undefined): ObjectIdentity => ({
  kind: 'snapshot',
  id: hash('sha256', name, 'buffer').subarray(0, OBJECT_ID_BYTES),
  master,
})

export const encodeSnapshot = ({ manifest, missing }: Snapshot): Buffer =>
  Buffer.from(JSON.stringify({ manifest: manifestDocument(manifest), missing }))

/** Takes nothing but what a snapshot may hold: without encryption, anybody may have made it. @throws AppError ARTIFACT_BROKEN. */
export function decodeSnapshot(bytes: Buffer): Snapshot {
  const { manifest, missing } = parsed(bytes)
  const isList = Array.isArray(missing) && missing.every((digest) => typeof digest === 'string')
  if (!isList) throw brokenObject('it is no snapshot')
  return { manifest: manifestOf(manifest, brokenObject), missing }
}

function parsed(bytes: Buffer): { readonly manifest?: unknown; readonly missing?: unknown } {
  try {
    return JSON.parse(bytes.toString()) ?? {}
  } catch {
    throw brokenObject('it is no snapshot')
  }
}
