import { createHash } from 'node:crypto'
import { digestBytes, digestOfBytes } from '../../../core/digest.ts'
import { AppError } from '../../../core/errors.ts'
import type { RecordFile, RecordPart } from '../../manifest/manifest.ts'
import type { RecordChunk } from '../layout.ts'
import { entryKey } from './entry.ts'
import type { NewObjects } from './new-objects.ts'
import type { PackWriter } from './pack-writer.ts'
import { needsOf } from './record-needs.ts'

/** Record files as lists of parts, each named by the sha256 of its lines: equal ones are stored once. */
export interface RecordParts {
  put(path: string, chunks: AsyncIterable<RecordChunk>, signal: AbortSignal): Promise<RecordFile>
  /** What the records of a part name, when this run has put it. */
  needsOf(part: string): Buffer | undefined
}

export function createRecordParts(objects: NewObjects, packs: PackWriter): RecordParts {
  const needs = new Map<string, Buffer>()

  async function putPart(chunk: Exclude<RecordChunk, { kept: RecordPart }>, signal: AbortSignal): Promise<RecordPart> {
    const digest = digestBytes(digestOfBytes(chunk.lines))
    const id = digest.toString('hex')
    const named = needs.get(id) ?? needsOf(chunk.lines)
    needs.set(id, named)
    for (const [kind, plain] of [
      ['records', chunk.lines],
      ['needs', named],
    ] as const) {
      const key = entryKey(kind, digest)
      if (objects.has(key)) continue
      objects.promise(key)
      await packs.add(key, plain, signal)
    }
    return { id, first: chunk.first, sizeBytes: chunk.lines.length, records: chunk.records }
  }
  function kept(part: RecordPart): RecordPart {
    if (objects.has(entryKey('records', Buffer.from(part.id, 'hex')))) return part
    throw new AppError(
      'ARTIFACT_BROKEN',
      `Records of an earlier backup are missing: no index names their part ${part.id}`,
    )
  }
  return {
    needsOf: (part) => needs.get(part),
    async put(path, chunks, signal) {
      const parts: RecordPart[] = []
      for await (const chunk of chunks) parts.push('kept' in chunk ? kept(chunk.kept) : await putPart(chunk, signal))
      const hash = createHash('sha256')
      for (const { id } of parts) hash.update(`${id}\n`)
      const sum = (of: (part: RecordPart) => number) => parts.reduce((total, part) => total + of(part), 0)
      return {
        path,
        sizeBytes: sum((part) => part.sizeBytes),
        sha256: hash.digest('hex'),
        records: sum((part) => part.records),
        parts,
      }
    },
  }
}
