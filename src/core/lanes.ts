import { hash } from 'node:crypto'
import { type Digest, digestBytes } from './digest.ts'
import { canonicalJson, canonicalMetadata, type Metadata } from './metadata.ts'
import { comparePaths } from './paths.ts'

/** Four signed 32-bit integers: the first 16 bytes of a row hash. Their sums over a range are its fingerprint (sync.md B.1). */
export type Lanes = readonly [number, number, number, number]

export const NO_LANES: Lanes = [0, 0, 0, 0]

/** Row hash of content: SHA-256("c1", path, kind, sha256, size), each part length-prefixed. */
export function contentLanes(path: string, digest: Digest, sizeBytes: number): Lanes {
  return lanesOf(['c1', path, 'file', digestBytes(digest), String(sizeBytes)])
}
/** Row hash of user metadata: SHA-256("m1", path, canonical metadata). */
export function metadataLanes(path: string, metadata: Metadata): Lanes {
  return lanesOf(['m1', path, metadata.length === 0 ? '[]' : canonicalMetadata(metadata)])
}
/** Row hash of what a package version is made of: SHA-256("v1", path, then role, path and sha256 of each file, by path). */
export function versionContentLanes(
  path: string,
  files: readonly { readonly path: string; readonly role: string; readonly digest: Digest }[],
): Lanes {
  const sorted = [...files].sort((a, b) => comparePaths(a.path, b.path))
  return lanesOf(['v1', path, ...sorted.flatMap((file) => [file.role, file.path, digestBytes(file.digest)])])
}
/** Row hash of what is said about a package or a version: SHA-256("w1", path, canonical JSON). */
export function descriptionLanes(path: string, description: Readonly<Record<string, unknown>>): Lanes {
  return lanesOf(['w1', path, canonicalJson(description)])
}
export const sameLanes = (a: Lanes, b: Lanes): boolean =>
  a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3]

/** Filled and hashed within one call, so one for all; a path fits with all that is hashed beside it. */
const SCRATCH = Buffer.alloc(4_096)
/** Bytes of one UTF-16 unit in UTF-8, at most. */
const BYTES_PER_UNIT = 3

/** One buffer and one call: a hash object that is fed part by part costs three times as much. */
function lanesOf(parts: readonly (string | Buffer)[]): Lanes {
  let atMost = 0
  for (const part of parts) atMost += 4 + BYTES_PER_UNIT * part.length
  const bytes = atMost <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(atMost)
  let at = 0
  for (const part of parts) {
    const start = at + 4
    at = start + (typeof part === 'string' ? bytes.write(part, start) : part.copy(bytes, start))
    bytes.writeUInt32BE(at - start, start - 4)
  }
  const sum = hash('sha256', bytes.subarray(0, at), 'latin1')
  return [int32(sum, 0), int32(sum, 4), int32(sum, 8), int32(sum, 12)]
}

/** Of four bytes, each a character: sha256 makes such a text at half the cost of a Buffer. */
const int32 = (bytes: string, at: number): number =>
  (bytes.charCodeAt(at) << 24) |
  (bytes.charCodeAt(at + 1) << 16) |
  (bytes.charCodeAt(at + 2) << 8) |
  bytes.charCodeAt(at + 3)
