import { type Digest, digestOfBytes } from '../core/digest.ts'
import { createRunningHashes, type HashName, type HashValues } from './running-hashes.ts'

/** What bytes hash to besides sha256, which is always computed (architecture, decision 12). */
export interface HashOptions {
  readonly withMd5?: true | undefined
  readonly withCrc64?: true | undefined
}
export interface ContentDigests {
  readonly digest: Digest
  /** 32 lower-case hex digits; only when asked for. */
  readonly md5: string | undefined
  /** Unsigned decimal (`core/crc64.ts`); only when asked for. */
  readonly crc64: string | undefined
}

/** All hashes of a stream of bytes in one pass. `result` ends it. */
export interface ContentHashes {
  update(chunk: Uint8Array): void
  result(): ContentDigests
}

export function createContentHashes(options: HashOptions): ContentHashes {
  const hashes = createRunningHashes(hashNames(options))
  return { update: hashes.update, result: () => digestsOf(hashes.values()) }
}

export const hashNames = ({ withMd5, withCrc64 }: HashOptions): HashName[] => [
  'sha256',
  ...(withMd5 === true ? (['md5'] as const) : []),
  ...(withCrc64 === true ? (['crc64'] as const) : []),
]
/** @param values sha256 among them. */
export const digestsOf = ({ sha256, md5, crc64 }: HashValues): ContentDigests => ({
  digest: `sha256:${sha256}` as Digest,
  md5,
  crc64,
})

/** Of bytes that are all there: quicker than a stream of one chunk. */
export function contentDigestsOf(bytes: Uint8Array, options: HashOptions): ContentDigests {
  if (options.withMd5 !== true && options.withCrc64 !== true) {
    return { digest: digestOfBytes(bytes), md5: undefined, crc64: undefined }
  }
  const hashes = createContentHashes(options)
  hashes.update(bytes)
  return hashes.result()
}
