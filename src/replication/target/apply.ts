import { type FileWrite, lockLive, type MetadataChange, putFiles, putMetadata } from '../../artifacts/node-writer.ts'
import type { Repositories } from '../../artifacts/repositories.ts'
import { settle } from '../../artifacts/settle.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { type HlcClock, hlcMs, parseHlc } from '../../core/hlc.ts'
import { checkMetadata, type Metadata } from '../../core/metadata.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import { touchBlobs } from '../../metadata/blobs.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes.ts'
import { internPeerLink, internPeers, takeStream } from '../../metadata/peers.ts'
import type { ApplyAnswer, ApplyRequest, ApplyResult, FileEntry } from '../../remotes/cluster/messages.ts'
import { checkedDigest, checkedPath } from './checked.ts'
import { revOf } from './compare.ts'
import { deliveryMark } from './delivery-mark.ts'

interface ApplyDeps {
  readonly db: MetadataDatabase
  readonly repositories: Repositories
  readonly clock: Clock
  readonly hlc: HlcClock
  /** Of this cluster: rows that began here keep origin 0. */
  readonly clusterId: string
}

/** A source whose clock runs further ahead than this would win every later conflict (sync.md B.6). */
const MAX_SKEW_MS = 5 * 60_000

interface Arrived {
  readonly entry: FileEntry
  readonly path: NodePath
  readonly write: FileWrite
}

/**
 * Writes a batch of files in one transaction: each only if its row still is what the source decided upon, and only if its bytes
 * are here. Nothing is visible before all that the answer calls `written` is durable.
 */
export function createApplier({ db, repositories, clock, hlc, clusterId }: ApplyDeps) {
  return async function apply(linkKey: string, request: ApplyRequest): Promise<ApplyAnswer> {
    const repository = await repositories.get(request.project, request.repo)
    const now = clock.now()
    for (const entry of request.entries) observeClock(entry, now, hlc)
    return settle(() =>
      db.transact(async (trx) => {
        const via = await internPeerLink(trx, request.sourceId, linkKey)
        if (!(await takeStream(trx, via, request.stream, request.fence, now))) {
          throw new AppError(
            'FENCED',
            `Stream [${request.stream}] was taken over with a higher fence than ${request.fence}`,
            {},
          )
        }
        const origins = await internPeers(
          trx,
          request.entries.map(({ origin }) => origin).filter((id) => id !== clusterId),
        )
        const arrived = request.entries.map((entry): Arrived => {
          const mark = deliveryMark.write(request.run, entry.conflict)
          const write = writeOf(entry, { via, mark, origin: origins.get(entry.origin) ?? 0 })
          return { entry, path: write.path, write }
        })
        const paths = arrived.map(({ path }) => path)
        const rows = await lockLive(trx, repository.id, [
          ...new Set(paths.flatMap((path) => [...ancestorsOf(path), path])),
        ])
        const here = await touchBlobs(
          trx,
          arrived.map(({ write }) => write.digest),
          now,
        )
        const files: FileWrite[] = []
        const metadata: MetadataChange[] = []
        const results = arrived.map(({ entry, path, write }): ApplyResult => {
          const row = rows.get(path)
          const blocked = standingInTheWay(path, rows)
          if (blocked !== undefined) return { result: 'refused', reason: blocked }
          if ((row === undefined ? null : revOf(row)) !== entry.expect) return { result: 'changed' }
          if (!here.has(write.digest)) return { result: 'no-blob' }
          const merged = { ...write, metadata: metadataAfter(entry.metadata, row) }
          if (row !== undefined && row.digest === write.digest) metadata.push({ ...merged, node: row })
          else files.push(merged)
          return { result: 'written' }
        })
        const current = new Map(files.flatMap(({ path }) => (rows.has(path) ? [[path, rows.get(path)!] as const] : [])))
        await putFiles(trx, repository, files, current, now)
        await putMetadata(trx, repository, metadata, now)
        return { results }
      }),
    )
  }
}

function observeClock({ hlc: text, path }: FileEntry, now: number, clock: HlcClock): void {
  const hlc = parseHlc(text)
  if (hlc === undefined) throw invalid('hlc')
  const aheadMs = hlcMs(hlc) - now
  if (aheadMs > MAX_SKEW_MS) {
    const seconds = Math.round(aheadMs / 1000)
    throw new AppError(
      'TASK_FAILED',
      `File [${path}] is dated ${seconds} s in the future: set the clocks of both clusters`,
      {},
    )
  }
  clock.observe(hlc)
}

function writeOf(entry: FileEntry, from: { via: number; mark: number; origin: number }): FileWrite {
  return {
    path: checkedPath(entry.path),
    digest: checkedDigest(entry.sha256),
    sizeBytes: entry.sizeBytes,
    md5: entry.md5 ?? undefined,
    metadata: checkMetadata(entry.metadata ?? []),
    expiresAt: entry.expiresAt ?? undefined,
    createdBy: entry.createdBy,
    createdAt: entry.createdAt,
    modifiedBy: entry.modifiedBy,
    modifiedAt: entry.modifiedAt,
    origin: from.origin,
    hlc: parseHlc(entry.hlc)!,
    viaLink: from.via,
    viaMark: from.mark,
  }
}

/** The source's user entries replace ours; what the system noted here stays. Null: all of ours stay. */
function metadataAfter(incoming: Metadata | null, row: NodeRecord | undefined): Metadata {
  if (incoming === null) return row?.metadata ?? []
  return [...incoming, ...(row?.metadata ?? []).filter((entry) => entry.system === true)]
}

function standingInTheWay(path: NodePath, rows: ReadonlyMap<NodePath, NodeRecord>): string | undefined {
  if (rows.get(path)?.folder) return 'the target has a folder there'
  const file = ancestorsOf(path).find((ancestor) => rows.get(ancestor)?.folder === false)
  return file === undefined ? undefined : `the target has a file at [${file}], where it needs a folder`
}
