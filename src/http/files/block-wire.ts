import { Type } from 'typebox'
import type { BlockPart, BlockUploadName } from '../../artifacts/uploads/block-uploads.ts'
import { digestHex } from '../../core/digest.ts'

/** A block as its upload and the list of blocks answer it: core.md 11.4 for numbered ones, 11.5 for those by offset. */
export function toBlock({ style, uploadId }: BlockUploadName, { position, sizeBytes, digest, crc64 }: BlockPart) {
  const content = { size: sizeBytes, sha256: digestHex(digest) }
  if (style === 'NUMBERED') return { ...content, sequence: position }
  return { ...content, crc64ecma: crc64 ?? null, startPos: position, uploadId }
}

const content = { size: Type.Integer({ description: 'Bytes' }), sha256: Type.String() }
const NumberedBlock = Type.Object({ ...content, sequence: Type.Integer({ description: 'From 1' }) })
const SeparateBlock = Type.Object({
  ...content,
  crc64ecma: Type.Union([Type.String(), Type.Null()]),
  startPos: Type.Integer({ description: 'Bytes from the start of the file' }),
  uploadId: Type.String(),
})
/** Schema of `toBlock`, for the OpenAPI document. */
export const BlockData = Type.Union([NumberedBlock, SeparateBlock])
