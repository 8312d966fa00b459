import { createHash, type Hash } from 'node:crypto'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { PullSource } from '../../core/pull-source.ts'
import type { BlobStat } from '../../storage/blob-store.ts'
import type { RecordFile } from '../manifest/manifest.ts'
import type { ManifestSeal } from '../manifest/manifest-seal.ts'
import { manifestBytes } from '../manifest/manifest-text.ts'
import { contentPath, MANIFEST, MANIFEST_SEAL } from '../manifest/run-paths.ts'
import type { BackupWriter } from './layout.ts'
import { createPutsOnTheWay } from './puts-on-the-way.ts'
import type { FileDraft, RunDraft } from './run-files.ts'

const CHUNK_BYTES = 256 * 1024

/** Holds up who writes faster than allowed; undefined: go on at once. */
export type Pace = (bytes: number, signal: AbortSignal) => Promise<void> | undefined

/** Writes a run that stands alone: each distinct content once, record files, the manifest last. */
export function createRunWriter(draft: RunDraft, seal: ManifestSeal, pace: Pace): BackupWriter {
  const held = new Set<Digest>()
  const onTheWay = createPutsOnTheWay()
  let blobBytes = 0

  function hold({ digest, sizeBytes }: BlobStat): void {
    held.add(digest)
    blobBytes += sizeBytes
  }
  async function copy(
    blob: BlobStat,
    open: () => Promise<PullSource>,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await using source = await open()
    await using file = await draft.create(contentPath(blob.digest), signal)
    const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(CHUNK_BYTES, blob.sizeBytes + 1)))
    const hash = createHash('sha256')
    for (let left = blob.sizeBytes; ; ) {
      signal.throwIfAborted()
      const count = await source.read(buffer, signal)
      if (count > left) throw brokenContent(blob, `it has more than ${blob.sizeBytes} bytes`)
      if (count === 0) {
        if (left > 0) throw brokenContent(blob, `it ends ${left} bytes before its end`)
        break
      }
      const chunk = buffer.subarray(0, count)
      hash.update(chunk)
      await file.write(chunk)
      onBytes(count)
      left -= count
      await pace(count, signal)
    }
    const found = digestFromBytes(hash.digest())
    if (found !== blob.digest) throw brokenContent(blob, `its bytes hash to ${found}`)
    await file.keep()
    hold(blob)
  }

  return {
    artifactLocation: draft.path,
    base: undefined,
    putsAtOnce: draft.putsAtOnce,
    async held(digests) {
      return new Set(digests.filter((digest) => held.has(digest)))
    },
    async putSmall(contents, signal) {
      const missing = new Map(
        contents.filter(({ digest }) => !held.has(digest)).map(({ digest, bytes }) => [digest, bytes]),
      )
      const files = [...missing].map(([digest, bytes]) => ({ name: contentPath(digest), bytes }))
      await draft.putAll(files, signal)
      let written = 0
      for (const [digest, { length }] of missing) {
        if (!held.has(digest)) hold({ digest, sizeBytes: length })
        written += length
      }
      await pace(written, signal)
    },
    async putLarge(blob, open, onBytes, signal) {
      if (held.has(blob.digest)) return
      await onTheWay.once(blob.digest, () => copy(blob, open, onBytes, signal))
    },
    async putRecords(path, chunks, signal) {
      await using file = await draft.create(path, signal)
      const written = await writeRecords(file, path, chunks)
      await file.keep()
      return written
    },
    async publish(rest, signal) {
      const manifest = { ...rest, blobCount: held.size, blobBytes, basedOn: [] }
      const bytes = manifestBytes(manifest)
      await draft.putAll([{ name: MANIFEST, bytes }], signal)
      await draft.putAll([{ name: MANIFEST_SEAL, bytes: Buffer.from(await seal.seal(bytes)) }], signal)
      await draft.publish(signal)
      return manifest
    },
    [Symbol.asyncDispose]: () => draft[Symbol.asyncDispose](),
  }
}

async function writeRecords(
  file: FileDraft,
  path: string,
  chunks: Parameters<BackupWriter['putRecords']>[1],
): Promise<RecordFile> {
  const hash: Hash = createHash('sha256')
  let sizeBytes = 0
  let records = 0
  for await (const chunk of chunks) {
    if ('kept' in chunk) throw new Error('This layout keeps no parts of other runs')
    hash.update(chunk.lines)
    sizeBytes += chunk.lines.length
    records += chunk.records
    await file.write(chunk.lines)
  }
  return { path, sizeBytes, sha256: hash.digest('hex'), records }
}

const brokenContent = ({ digest }: BlobStat, why: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `Content ${digest} is damaged: ${why}`, { digest })
