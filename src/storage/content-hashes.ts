import { createHash } from 'node:crypto'
import { createCrc64 } from '../core/crc64.ts'
import { type Digest, digestFromBytes, digestOfBytes } from '../core/digest.ts'

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

export function createContentHashes({ withMd5, withCrc64 }: HashOptions): ContentHashes {
  const sha256 = createHash('sha256')
  const md5 = withMd5 === true ? createHash('md5') : undefined
  const crc64 = withCrc64 === true ? createCrc64() : undefined
  return {
    update(chunk) {
      sha256.update(chunk)
      md5?.update(chunk)
      crc64?.update(chunk)
    },
    result: () => ({ digest: digestFromBytes(sha256.digest()), md5: md5?.digest('hex'), crc64: crc64?.value() }),
  }
}

/** Of bytes that are all there: quicker than a stream of one chunk. */
export function contentDigestsOf(bytes: Uint8Array, options: HashOptions): ContentDigests {
  if (options.withMd5 !== true && options.withCrc64 !== true) {
    return { digest: digestOfBytes(bytes), md5: undefined, crc64: undefined }
  }
  const hashes = createContentHashes(options)
  hashes.update(bytes)
  return hashes.result()
}
