import type { RecordChunk } from '../layouts/layout.ts'
import type { RecordPart } from '../manifest/manifest.ts'
import type { Spool, SpoolPlace } from './spool.ts'

/** Records of a file as the snapshot left them: in the spool, or in a part of the base. */
export interface SpooledFile {
  readonly path: string
  readonly chunks: readonly SpooledChunk[]
  readonly records: number
}
export type SpooledChunk =
  | { readonly kept: RecordPart }
  | { readonly place: SpoolPlace; readonly records: number; readonly first: string }

/** Takes the records of one file in their order. */
export interface FileSpool {
  /** @param line with its end. @returns whether `flush` is due. */
  add(key: string, line: string): boolean
  flush(): Promise<void>
  /** A part of the base instead of its records. */
  keep(part: RecordPart): Promise<void>
  done(): Promise<SpooledFile>
}

const CHUNK_CHARACTERS = 1024 * 1024
/** Of a file without a base. */
const FRESH_RECORDS = 1_000
/** Of one with a base: what comes in between does not move the parts that follow. */
const MOST_RECORDS = 2_000
/** Smaller parts are joined with the next one. */
const LEAST_RECORDS = 250

/** @param base parts whose beginnings are kept, so that what did not change is the same part again. */
export function createFileSpool(spool: Spool, path: string, base: readonly RecordPart[] = []): FileSpool {
  const beginnings = new Set(base.map(({ first }) => first))
  const mostRecords = base.length > 0 ? MOST_RECORDS : FRESH_RECORDS
  const chunks: SpooledChunk[] = []
  let records = 0
  let lines: string[] = []
  let characters = 0
  let first = ''
  /** The record that the next chunk begins with. */
  let ahead: { readonly key: string; readonly line: string } | undefined

  function take(key: string, line: string): void {
    if (lines.length === 0) first = key
    lines.push(line)
    characters += line.length
    records++
  }
  async function flush(): Promise<void> {
    if (lines.length > 0) {
      const place = await spool.append(Buffer.from(lines.join('')))
      chunks.push({ place, records: lines.length, first })
    }
    lines = []
    characters = 0
    if (ahead === undefined) return
    const { key, line } = ahead
    ahead = undefined
    take(key, line)
  }
  return {
    add(key, line) {
      if (lines.length >= LEAST_RECORDS && beginnings.has(key)) {
        ahead = { key, line }
        return true
      }
      take(key, line)
      return lines.length >= mostRecords || characters >= CHUNK_CHARACTERS
    },
    flush,
    async keep(part) {
      await flush()
      chunks.push({ kept: part })
      records += part.records
    },
    async done() {
      while (lines.length > 0) await flush()
      return { path, chunks, records }
    },
  }
}

/** As a writer takes them; one chunk in memory at a time. */
export async function* chunksOfFile(spool: Spool, file: SpooledFile): AsyncGenerator<RecordChunk> {
  for (const chunk of file.chunks) {
    if ('kept' in chunk) yield chunk
    else yield { lines: await spool.read(chunk.place), records: chunk.records, first: chunk.first }
  }
}
