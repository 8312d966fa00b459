import type { ContentReads } from '../../artifacts/downloads/content-reads.ts'
import { digestHex } from '../../core/digest.ts'
import type { BlobReply } from '../../formats/oci/operation.ts'
import type { Content } from '../files/content-answer.ts'

/** What no manifest names yet: only its bytes are known. */
export const storedContent = (blob: BlobReply, contents: ContentReads): Content => ({
  what: `Blob [${blob.digest}]`,
  ...{ sizeBytes: blob.sizeBytes, etag: `"${digestHex(blob.digest)}"`, modifiedAt: undefined },
  headers: { 'content-type': 'application/octet-stream', ...blob.headers },
  open: (range, signal) => contents.open(blob, range, signal),
  check: (signal) => contents.check(blob, signal),
})
