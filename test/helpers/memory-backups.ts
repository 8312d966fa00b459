import { createHash } from 'node:crypto'
import type { BackupReader, BackupWriter, RecordChunk } from '../../src/backup/layouts/layout.ts'
import type { Layouts, WriterRequest } from '../../src/backup/layouts/layouts.ts'
import type { Manifest, RecordFile, RecordPart } from '../../src/backup/manifest/manifest.ts'
import { type Digest, digestFromBytes } from '../../src/core/digest.ts'
import { AppError } from '../../src/core/errors.ts'
import { chunksOf } from '../../src/core/pull-source.ts'

/** A run that was published. */
export interface MemoryRun {
  readonly manifest: Manifest
  readonly layout: WriterRequest['layout']
  /** By path. */
  readonly files: ReadonlyMap<string, string>
  /** Ids of parts that were kept from the base. */
  readonly kept: ReadonlySet<string>
  /** Contents that were given to this run. */
  readonly given: readonly Digest[]
}

/** A place that keeps runs in memory, in parts, as the repository layout does: what is there is not given again. */
export function memoryBackups() {
  const contents = new Map<Digest, Buffer>()
  const parts = new Map<string, string>()
  const runs: MemoryRun[] = []
  const swept: string[] = []
  const open = new Set<unknown>()

  function openWriter({ layout }: WriterRequest): BackupWriter {
    const files = new Map<string, string>()
    open.add(files)
    const kept = new Set<string>()
    const given: Digest[] = []

    const partOf = (chunk: RecordChunk): { readonly part: RecordPart; readonly text: string } => {
      if ('kept' in chunk) {
        kept.add(chunk.kept.id)
        return { part: chunk.kept, text: parts.get(chunk.kept.id)! }
      }
      const text = chunk.lines.toString()
      const id = createHash('sha256').update(text).digest('hex')
      parts.set(id, text)
      const { records, first } = chunk
      return { part: { id, first, sizeBytes: chunk.lines.length, records }, text }
    }
    return {
      artifactLocation: `memory/${runs.length + 1}`,
      base: runs.at(-1)?.manifest,
      putsAtOnce: 2,
      async held(digests) {
        return new Set(digests.filter((digest) => contents.has(digest)))
      },
      async putSmall(some) {
        for (const { digest, bytes } of some) {
          given.push(digest)
          contents.set(digest, bytes)
        }
      },
      async putLarge({ digest }, open, onBytes, signal) {
        const chunks: Buffer[] = []
        for await (const chunk of chunksOf(await open(), 64 * 1024, signal)) {
          onBytes(chunk.length)
          chunks.push(chunk)
        }
        const bytes = Buffer.concat(chunks)
        if (digestFromBytes(createHash('sha256').update(bytes).digest()) !== digest) {
          throw new AppError('ARTIFACT_BROKEN', `Content ${digest} is damaged`)
        }
        given.push(digest)
        contents.set(digest, bytes)
      },
      async putRecords(path, chunks) {
        const written: RecordPart[] = []
        let whole = ''
        for await (const chunk of chunks) {
          const { part, text } = partOf(chunk)
          written.push(part)
          whole += text
        }
        files.set(path, whole)
        const sha256 = createHash('sha256').update(whole).digest('hex')
        const records = written.reduce((sum, part) => sum + part.records, 0)
        return { path, sizeBytes: Buffer.byteLength(whole), sha256, records, parts: written } satisfies RecordFile
      },
      async publish(draft) {
        const manifest = { ...draft, blobCount: contents.size, blobBytes: 0, basedOn: [] }
        runs.push({ manifest, layout, files, kept, given })
        return manifest
      },
      async [Symbol.asyncDispose]() {
        open.delete(files)
      },
    }
  }
  const layouts: Pick<Layouts, 'openWriter' | 'sweep' | 'list' | 'openReader'> = {
    openWriter: async (request) => openWriter(request),
    async list(_place, name) {
      const mine = runs.filter(({ manifest }) => manifest.name === name)
      return mine.reverse().map(({ layout, manifest: { name, startDate, runId } }) => {
        return { name, path: runId, layout, startedAt: Date.parse(startDate) }
      })
    },
    async openReader(path) {
      const manifest = runs.find((run) => run.manifest.runId === path)?.manifest
      const reader: Pick<BackupReader, 'manifest' | typeof Symbol.asyncDispose> = {
        manifest,
        async [Symbol.asyncDispose]() {},
      }
      return reader as BackupReader
    },
    async sweep({ runId }) {
      swept.push(runId)
    },
  }
  return { layouts, contents, runs, swept, isBusy: () => open.size > 0 }
}

/** Records of a file. */
export const recordsIn = (run: MemoryRun, path: string): Record<string, unknown>[] =>
  (run.files.get(path) ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
