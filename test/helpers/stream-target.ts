import assert from 'node:assert/strict'
import { createBlobIntake } from '../../src/artifacts/blobs/blob-intake.ts'
import { type FileWrite, lockLive, putFiles } from '../../src/artifacts/nodes/node-writer.ts'
import type { PackageRules } from '../../src/artifacts/packages/package-rules.ts'
import { digestFromBytes, digestOfBytes } from '../../src/core/digest.ts'
import { makeHlc } from '../../src/core/hlc.ts'
import type { NodePath } from '../../src/core/paths.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { liveAt, type NodeRecord } from '../../src/metadata/nodes/nodes.ts'
import { createSegmentIndex } from '../../src/metadata/storage/segment-index.ts'
import type {
  AckFrame,
  ContentFrame,
  DeleteFrame,
  EntryFrame,
  ItemException,
  MetadataFrame,
  PingFrame,
  Precondition,
  SourceFrame,
  StreamBegin,
  VersionDocument,
  VersionFrame,
} from '../../src/remotes/cluster/frames/frame.ts'
import { createBatchCommitter } from '../../src/replication/target/commit-batch.ts'
import { createStreamReceiver } from '../../src/replication/target/receive-stream.ts'
import type { SyncTarget } from '../../src/replication/target/sync-target.ts'
import { createMemoryBlobStore } from '../../src/storage/memory/blob-store.ts'
import { artifactServices, fileWrite, makeRepository } from './artifacts.ts'
import { makePackageRepository } from './packages.ts'
import { rdsFormat } from './rds-format.ts'

export type Incoming = Exclude<SourceFrame, PingFrame>
export type Answer = Parameters<Parameters<SyncTarget['receive']>[2]>[0]
type Item = EntryFrame | DeleteFrame | MetadataFrame | VersionFrame | ContentFrame

export const LINK = 'a'.repeat(32)
export const OTHER_LINK = 'b'.repeat(32)
/** Of the cluster that receives. */
export const HERE = 'here'

/** The receiving side of streams on one database, with blobs in memory. */
export async function streamTarget(db: MetadataDatabase, made?: 'packages', rules: Partial<PackageRules> = {}) {
  const rulesOf = (type: string) => (type === 'RDS' ? { ...rdsFormat.packages!, ...rules } : undefined)
  const on = artifactServices(db)
  const repository = made === undefined ? await makeRepository(on) : await makePackageRepository(on, 'files')
  const { clock, hlc, repositories } = on
  const store = createMemoryBlobStore(undefined, createSegmentIndex({ db, clock }))
  const intake = createBlobIntake({ db, store, clock })
  const counted = { received: 0, redundant: 0 }
  const metrics = {
    syncReceivedBytes(count: number) {
      counted.received += count
    },
    syncRedundantBytes(count: number) {
      counted.redundant += count
    },
  }
  const deps = { db, intake, clock, hlc, repositories, metrics, clusterId: HERE, rulesOf }
  const commitBatch = createBatchCommitter(deps)
  const withCommits = { ...deps, commitBatch }
  const receive = createStreamReceiver(withCommits)
  const begin = (more: Partial<StreamBegin> = {}): StreamBegin => ({
    ...{ protocol: 2, sourceId: 'src', project: 'demo', repo: 'files', epoch: repository.epoch },
    ...{ stream: 's', fence: 1, run: 1, includeMetadata: true, conflictStrategy: 'SKIP' },
    ...{ stopAtFailure: false, honourTombstones: false, ...more },
  })
  /** One stream whose frames all come at once. @returns all answers. */
  async function send(more: Partial<StreamBegin>, frames: readonly Incoming[], link = LINK): Promise<Answer[]> {
    const answers: Answer[] = []
    async function* feed() {
      yield [{ type: 'begin', begin: begin(more) } as const, ...frames]
    }
    await receive(link, feed(), async (answer) => void answers.push(answer), new AbortController().signal)
    return answers
  }
  return {
    ...{ on, db, clock, repository, store, deps: withCommits, receive, begin, send, counted },
    /** @returns results in the order of the items, with their reasons. */
    async deliver(items: readonly Item[], more: Partial<StreamBegin> = {}, link = LINK): Promise<string[]> {
      const answers = await send(more, [...items, { type: 'end' }], link)
      assert.equal(answers.at(-1)?.type, 'end')
      const exceptions = new Map(exceptionsOf(answers).map((one) => [one.item, one]))
      return items.map(({ item }) => {
        const { result, reason } = exceptions.get(item) ?? { result: 'written', reason: '' }
        return reason === '' ? result : `${result}: ${reason}`
      })
    },
    /** A file by a local user of the target; its bytes are not there. */
    async write(path: string, text: string, more: Partial<FileWrite> = {}): Promise<NodeRecord> {
      const file = fileWrite(on, path, text, more)
      const [row] = await db.transact(async (trx) =>
        putFiles(trx, repository, [file], await lockLive(trx, repository.id, [file.path]), clock.now()),
      )
      return row!
    },
    async row(path: string): Promise<NodeRecord | undefined> {
      return (await liveAt(db.read, repository.id, [path as NodePath])).get(path as NodePath)
    },
    /** Contents of live files by path. */
    async files(): Promise<Record<string, string>> {
      const live = db.read.selectFrom('node').where('deleted_at', 'is', null).where('folder', '=', 0)
      const rows = await live.select(['path', 'sha256', 'size']).orderBy('path').execute()
      const blobs = rows.map(({ sha256, size }) => ({ digest: digestFromBytes(sha256!), sizeBytes: size }))
      const bytes = await store.readMany(blobs, new AbortController().signal)
      return Object.fromEntries(rows.map(({ path }, n) => [path, `${bytes.get(blobs[n]!.digest)}`]))
    },
    async logRows(): Promise<number> {
      return (await db.read.selectFrom('change_log').select('id').execute()).length
    },
  }
}
export type StreamTarget = Awaited<ReturnType<typeof streamTarget>>

export const acksOf = (answers: readonly Answer[]): AckFrame[] => answers.filter((answer) => answer.type === 'ack')
export const exceptionsOf = (answers: readonly Answer[]): ItemException[] =>
  acksOf(answers).flatMap(({ exceptions }) => exceptions)

export const UNKNOWN: Precondition = { is: 'unknown' }
const CREATED = Date.UTC(2025, 11, 31)
/** A stamp `ms` after the last day of 2025 began. */
export const stampAt = (ms: number) => makeHlc(CREATED + ms, 0)

/** The file of another cluster whose content is a text. */
export function entry(item: number, path: string, text: string, more: Partial<EntryFrame> = {}): EntryFrame {
  const content = Buffer.from(text)
  return {
    ...{ type: 'entry', item, path, digest: digestOfBytes(content), sizeBytes: content.length },
    ...{ md5: null, crc64: null, metadata: [], origin: 'src', hlc: stampAt(0), via: [], expiresAt: null },
    ...{ createdBy: 'alice', createdAt: CREATED, modifiedBy: 'alice', modifiedAt: CREATED },
    ...{ expect: UNKNOWN, content, ...more },
  }
}
export function deletion(item: number, path: string, more: Partial<DeleteFrame> = {}): DeleteFrame {
  return { type: 'delete', item, path, origin: 'src', hlc: stampAt(0), deletedBy: 'alice', expect: UNKNOWN, ...more }
}
export function metadataOf(item: number, path: string, metadata: MetadataFrame['metadata']): MetadataFrame {
  return {
    ...{ type: 'metadata', item, path, metadata, origin: 'src', hlc: stampAt(0), modifiedBy: 'alice' },
    ...{ modifiedAt: CREATED, expect: UNKNOWN },
  }
}
/** The content of a version that follows. */
export function content(item: number, text: string): ContentFrame {
  const bytes = Buffer.from(text)
  return { type: 'content', item, digest: digestOfBytes(bytes), content: bytes }
}
/** The version of another cluster; the last of its files, path → text, is the main one. */
export function version(
  item: number,
  packageKey: string,
  name: string,
  files: Readonly<Record<string, string>>,
  more: Partial<VersionDocument> = {},
  versionTag: Readonly<Record<string, string>> = { stable: name },
): VersionFrame {
  const written = { createdBy: 'alice', createdAt: CREATED, modifiedBy: 'alice', modifiedAt: CREATED }
  const stamp = { origin: 'src', hlc: stampAt(0) }
  const paths = Object.keys(files)
  return {
    ...{ type: 'version', item, packageKey, version: name, ...stamp, expect: UNKNOWN },
    document: {
      files: paths.map((path, n) => ({
        ...{ path, role: n === paths.length - 1 ? 'main' : 'part', digest: digestOfBytes(Buffer.from(files[path]!)) },
        ...{ sizeBytes: Buffer.byteLength(files[path]!), md5: null, crc64: null, metadata: [], expiresAt: null },
        ...written,
        ...stamp,
      })),
      ...{ manifestPath: null, metadata: [], tags: [], stageTags: [], extension: {}, written },
      package: { description: null, versionTag, extension: {}, ...stamp, ...written },
      ...more,
    },
  }
}
