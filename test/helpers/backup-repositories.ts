import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { BackupReader, BackupWriter, ManifestDraft, RecordChunk } from '../../src/backup/layouts/layout.ts'
import {
  createRepositoryLayout,
  type RepositoryLayout,
  type RepositoryLayoutDeps,
} from '../../src/backup/layouts/repository/repository-layout.ts'
import type { Manifest } from '../../src/backup/manifest/manifest.ts'
import type { Clock } from '../../src/core/clock.ts'
import { type Digest, digestHex, digestOfBytes } from '../../src/core/digest.ts'
import { pulledFrom } from '../../src/core/pull-source.ts'
import type { BackupLocation } from '../../src/storage/backup-location.ts'
import { createFsBackupLocation } from '../../src/storage/fs/backup-location.ts'
import { manualClock } from './clock.ts'

export const SIGNAL = new AbortController().signal
export const START = Date.UTC(2026, 0, 1)
const LARGE_BYTES = 256 * 1024

/** Cheap to unlock; one thread. */
export const repositoryLayout = (changes: Partial<RepositoryLayoutDeps> = {}): RepositoryLayout =>
  createRepositoryLayout({
    clock: manualClock(START),
    ids: { id: () => randomBytes(12).toString('hex'), key: () => randomBytes(16).toString('hex') },
    random: { next: () => 0.5, bytes: (count) => randomBytes(count) },
    locationAt: createFsBackupLocation,
    passphrase: async () => 'correct horse',
    timeZone: 'UTC',
    server: 'test',
    threads: 1,
    scryptCost: { cost: 16, blockSize: 1, parallel: 1 },
    ...changes,
  })

/** Path of a file, and what is in it. */
export type Files = Readonly<Record<string, Buffer>>

export interface TestRun {
  readonly name?: string
  readonly startedAt?: number
  readonly result?: Manifest['result']
  readonly compression?: boolean
}

export const linesOf = (files: Files): string[] =>
  Object.entries(files).map(([fullPath, bytes]) =>
    JSON.stringify({ fullPath, size: bytes.length, sha256: digestHex(digestOfBytes(bytes)) }),
  )

export const openTestWriter = (layout: RepositoryLayout, place: string, run: TestRun = {}): Promise<BackupWriter> =>
  layout.openWriter(
    {
      place,
      name: run.name ?? 'nightly',
      runId: `run-${run.startedAt ?? START}`,
      startedAt: run.startedAt ?? START,
      layout: 'REPOSITORY',
      rateLimit: null,
      compression: run.compression ?? false,
    },
    SIGNAL,
  )

/** A whole backup of some files, in one record file of two parts. */
export async function backUp(
  layout: RepositoryLayout,
  place: string,
  files: Files,
  run: TestRun = {},
): Promise<{ readonly path: string; readonly manifest: Manifest; readonly sent: number }> {
  await using writer = await openTestWriter(layout, place, run)
  const sent = await putFiles(writer, files)
  const records = await writer.putRecords('pr/repo/node.json', chunksOf(linesOf(files)), SIGNAL)
  const manifest = await writer.publish(draftOf([records], run), SIGNAL)
  return { path: writer.artifactLocation, manifest, sent }
}

/** @returns how many contents were not there. */
export async function putFiles(writer: BackupWriter, files: Files): Promise<number> {
  const contents = new Map<Digest, Buffer>(Object.values(files).map((bytes) => [digestOfBytes(bytes), bytes]))
  const held = await writer.held([...contents.keys()], SIGNAL)
  let sent = 0
  for (const [digest, bytes] of contents) {
    if (held.has(digest)) continue
    sent++
    if (bytes.length < LARGE_BYTES) await writer.putSmall([{ digest, bytes }], SIGNAL)
    else {
      const open = async () => pulledFrom(Readable.from([bytes]))
      await writer.putLarge({ digest, sizeBytes: bytes.length }, open, () => undefined, SIGNAL)
    }
  }
  return sent
}

export async function* chunksOf(lines: readonly string[]): AsyncGenerator<RecordChunk> {
  const half = Math.ceil(lines.length / 2)
  for (const part of [lines.slice(0, half), lines.slice(half)]) {
    if (part.length === 0) continue
    yield { lines: Buffer.from(part.map((line) => `${line}\n`).join('')), records: part.length, first: part[0]! }
  }
}

export const draftOf = (files: ManifestDraft['files'], { name, startedAt, result }: TestRun = {}): ManifestDraft => ({
  formatVersion: 1,
  serverVersion: '0',
  clusterId: 'c',
  taskId: 't',
  runId: 'r',
  name: name ?? 'nightly',
  startDate: new Date(startedAt ?? START).toISOString(),
  snapshotSeq: 1,
  snapshotMark: '1.1',
  fromSeq: null,
  since: null,
  content: { commonData: false, compression: false, increment: null, incrementDate: null, projects: null },
  repositories: [],
  files,
  result: result ?? 'SUCCESS',
  errors: 0,
})

/** All files of a run, read back. */
export async function readBack(reader: BackupReader): Promise<Files> {
  const files: Record<string, Buffer> = {}
  for await (const line of reader.records('pr/repo/node.json', SIGNAL)) {
    const { fullPath, size, sha256 } = JSON.parse(line) as { fullPath: string; size: number; sha256: string }
    const blob = { digest: `sha256:${sha256}` as Digest, sizeBytes: size }
    const [small] = size < LARGE_BYTES ? (await reader.readSmall([blob], SIGNAL)).values() : []
    files[fullPath] = small ?? (await buffer(await reader.open(blob, SIGNAL)))
  }
  return files
}

/** A location that dies as its process would: the write of that number and all after it fail. Writes are counted from 0. */
export function dyingLocations(diesAt: number): {
  readonly locationAt: (path: string) => BackupLocation
  readonly writes: () => number
} {
  let writes = 0
  const write = async <T>(work: () => Promise<T>): Promise<T> => {
    if (writes++ >= diesAt) throw new Error('the process died')
    return work()
  }
  const locationAt = (path: string): BackupLocation => {
    const location = createFsBackupLocation(path)
    return {
      ...location,
      create: (name, signal) =>
        write(async () => {
          const writer = await location.create(name, signal)
          return {
            ...writer,
            write: (chunk) => write(() => writer.write(chunk)),
            publish: () => write(() => writer.publish()),
            // What it has written so far stays behind.
            [Symbol.asyncDispose]: async () => {
              await writer[Symbol.asyncDispose]()
              if (writes > diesAt) await location.put(`${name}.partial`, Buffer.from('half'), SIGNAL)
            },
          }
        }),
      put: (name, bytes, signal) => write(() => location.put(name, bytes, signal)),
      putNew: (name, bytes, signal) => write(() => location.putNew(name, bytes, signal)),
      delete: (name, signal) => write(() => location.delete(name, signal)),
    }
  }
  return { locationAt, writes: () => writes }
}

export const settableClock = (): Clock & { at: number } => {
  const clock = {
    at: START,
    now: () => clock.at,
    // The heartbeat of leases sleeps until it is told to stop.
    sleep: (_: number, signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => {
        if (signal.aborted) reject(signal.reason)
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
  }
  return clock
}
