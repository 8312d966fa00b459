import { createHash } from 'node:crypto'
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
  return lanesOf(['m1', path, canonicalMetadata(metadata)])
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

function lanesOf(parts: readonly (string | Buffer)[]): Lanes {
  const hash = createHash('sha256')
  const length = Buffer.allocUnsafe(4)
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    length.writeUInt32BE(bytes.length)
    hash.update(length).update(bytes)
  }
  const sum = hash.digest()
  return [sum.readInt32BE(0), sum.readInt32BE(4), sum.readInt32BE(8), sum.readInt32BE(12)]
}
