import { setImmediate } from 'node:timers/promises'
import { createLayouts } from '../../src/backup/layouts/create-layouts.ts'
import { createFolderLayout } from '../../src/backup/layouts/folder/folder-layout.ts'
import type { BackupReader, BackupWriter, ManifestDraft, RecordChunk } from '../../src/backup/layouts/layout.ts'
import type { LayoutKind, Layouts, WriterRequest } from '../../src/backup/layouts/layouts.ts'
import { createZipLayout } from '../../src/backup/layouts/zip/zip-layout.ts'
import type { Manifest, RecordFile } from '../../src/backup/manifest/manifest.ts'
import { createManifestSeal } from '../../src/backup/manifest/manifest-seal.ts'
import { type Digest, digestOfBytes } from '../../src/core/digest.ts'
import { type PullSource, pulledFrom } from '../../src/core/pull-source.ts'
import type { BackupLocation } from '../../src/storage/backup-location.ts'
import { createFsBackupLocation } from '../../src/storage/fs/backup-location.ts'
import { streamOf } from './blobs.ts'
import { manualClock } from './clock.ts'

export const RUN_AT = Date.UTC(2024, 11, 24, 16, 13, 54)
export const ZONE = 'Europe/Berlin'

/** Folders and zips. @param locate where a test lets a disk fail. */
export function plainLayouts(
  passphrase?: string,
  locate: (path: string) => BackupLocation = createFsBackupLocation,
): Layouts {
  let turn = 0
  const random = { next: () => 0.5, bytes: (count: number) => Buffer.alloc(count, ++turn) }
  const seal = createManifestSeal(passphrase, random)
  const places = { locate, seal, random, clock: manualClock(RUN_AT), timeZone: ZONE }
  return createLayouts({
    FOLDER: createFolderLayout(places),
    ZIP: createZipLayout(places),
    REPOSITORY: noLayout,
  })
}
const noLayout: LayoutKind = {
  openWriter: () => Promise.reject(new Error('there are no repositories here')),
  openReader: async () => undefined,
  isRun: async () => false,
  incomplete: async () => [],
  sweep: async () => {},
  list: async () => [],
  remove: async () => {},
}

export const requestFor = (place: string, layout: WriterRequest['layout']): WriterRequest => ({
  ...{ place, layout, name: 'test1', runId: 'run-1', startedAt: RUN_AT, rateLimit: null, compression: false },
})

/** A file of the repository `p1/r1`. */
export interface BackedUpFile {
  readonly path: string
  readonly bytes: Buffer
}
export const backedUp = (path: string, text: string | Buffer): BackedUpFile => ({ path, bytes: Buffer.from(text) })

export const nodeOf = ({ path, bytes }: BackedUpFile) => ({
  ...{ projectId: 'p1', repoName: 'r1', folder: false, fullPath: path, size: bytes.length },
  sha256: digestOfBytes(bytes).slice(7),
})
export const blobOf = ({ bytes }: BackedUpFile) => ({ digest: digestOfBytes(bytes), sizeBytes: bytes.length })

export const sourceOf = (bytes: Buffer): (() => Promise<PullSource>) => {
  return async () => pulledFrom(streamOf(bytes))
}

export async function putRecords(
  writer: BackupWriter,
  path: string,
  records: readonly unknown[],
  signal: AbortSignal,
): Promise<RecordFile> {
  async function* chunks(): AsyncGenerator<RecordChunk> {
    for (const record of records) {
      await setImmediate()
      yield { lines: Buffer.from(`${JSON.stringify(record)}\n`), records: 1, first: '' }
    }
  }
  return writer.putRecords(path, chunks(), signal)
}

export function manifestDraft(files: readonly RecordFile[]): ManifestDraft {
  return {
    ...{ formatVersion: 1, serverVersion: '0.1.0', clusterId: 'c', taskId: 't', runId: 'run-1', name: 'test1' },
    ...{ startDate: new Date(RUN_AT).toISOString(), snapshotSeq: 7, snapshotMark: '7.1' },
    ...{ fromSeq: null, since: null },
    content: { commonData: false, compression: false, increment: null, incrementDate: null, projects: null },
    repositories: [{ projectId: 'p1', repoName: 'r1', repoId: 1, epoch: 'e', seq: 7, quiet: 'q' }],
    ...{ files, result: 'SUCCESS', errors: 0 },
  }
}

/** Contents, small ones and others, records, manifest. */
export async function writeFiles(
  writer: BackupWriter,
  files: readonly BackedUpFile[],
  signal: AbortSignal,
): Promise<Manifest> {
  const isSmall = ({ bytes }: BackedUpFile) => bytes.length < 1_000
  const small = files.filter(isSmall).map(({ bytes }) => ({ digest: digestOfBytes(bytes), bytes }))
  await writer.putSmall(small, signal)
  for (const file of files.filter((one) => !isSmall(one))) {
    await writer.putLarge(blobOf(file), sourceOf(file.bytes), () => {}, signal)
  }
  const nodes = await putRecords(writer, 'p1/r1/node.json', files.map(nodeOf), signal)
  const repository = await putRecords(writer, 'p1/r1/repository.json', [{ name: 'r1' }], signal)
  const errors = await putRecords(writer, 'errors.json', [], signal)
  return writer.publish(manifestDraft([nodes, repository, errors]), signal)
}

/** @returns path of the run. */
export async function writeRun(
  layouts: Layouts,
  request: WriterRequest,
  files: readonly BackedUpFile[],
  signal: AbortSignal,
): Promise<string> {
  await using writer = await layouts.openWriter(request, signal)
  await writeFiles(writer, files, signal)
  return writer.artifactLocation
}

/** All that a run gives: contents by digest, and lines by record file. */
export async function readRun(reader: BackupReader, files: readonly BackedUpFile[], signal: AbortSignal) {
  const contents: [Digest, string][] = []
  for (const file of files) {
    const blob = blobOf(file)
    const chunks = await Array.fromAsync(await reader.open(blob, signal))
    contents.push([blob.digest, digestOfBytes(Buffer.concat(chunks))])
  }
  const records: [string, string[]][] = []
  for (const path of reader.files) records.push([path, await Array.fromAsync(reader.records(path, signal))])
  return { contents, records }
}
