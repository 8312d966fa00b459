import {
  type FileWrite,
  lockLive,
  type MetadataChange,
  putFiles,
  putMetadata,
} from '../../artifacts/nodes/node-writer.ts'
import { settle } from '../../artifacts/nodes/settle.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import { requireUploads } from '../../artifacts/repositories/repository-uploads.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { Metadata } from '../../core/metadata.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { internPeerLink, internPeers, takeStream } from '../../metadata/replication/peers.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import type { ApplyAnswer, ApplyRequest, ApplyResult } from '../../remotes/cluster/messages.ts'
import { type ArrivedFile, arrivedFile, type Refused } from './arrived-file.ts'
import { createBatchPlaces } from './batch-places.ts'
import { checkEpoch, visible } from './checked.ts'
import { revOf } from './compare.ts'
import { deliveryMark } from './delivery-mark.ts'
import { roomIn, transactWithinQuota } from './room.ts'

interface ApplyDeps {
  readonly db: MetadataDatabase
  readonly repositories: Repositories
  readonly clock: Clock
  readonly hlc: HlcClock
  /** Of this cluster: rows that began here keep origin 0. */
  readonly clusterId: string
}

/**
 * Writes a batch of files in one transaction: each only if its row still is what the source decided upon, and only if its bytes
 * are here. Nothing is visible before all that the answer calls `written` is durable.
 */
export function createApplier({ db, repositories, clock, hlc, clusterId }: ApplyDeps) {
  return async function apply(linkKey: string, request: ApplyRequest): Promise<ApplyAnswer> {
    const repository = await repositories.get(request.project, request.repo)
    const now = clock.now()
    requireUploads(repository)
    checkEpoch(repository, request)
    return settle(() =>
      transactWithinQuota(db, async (trx) => {
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
        const arrived = request.entries.map((entry): ArrivedFile | Refused => {
          const mark = deliveryMark.write(request.run, entry.conflict)
          return arrivedFile(entry, { via, mark, origin: origins.get(entry.origin) ?? 0 }, { now, hlc })
        })
        const good = arrived.filter((one) => 'write' in one)
        const paths = good.map(({ write }) => write.path)
        const rows = await lockLive(trx, repository.id, [
          ...new Set(paths.flatMap((path) => [...ancestorsOf(path), path])),
        ])
        const here = await touchBlobs(
          trx,
          good.map(({ write }) => write.digest),
          now,
        )
        const room = await roomIn(trx, repository.id)
        const places = createBatchPlaces()
        const files: FileWrite[] = []
        const metadata: MetadataChange[] = []
        const results = arrived.map((one): ApplyResult => {
          if ('refused' in one) return { result: 'refused', reason: one.refused }
          const { entry, write } = one
          const { path } = write
          const row = visible(rows.get(path), now)
          const blocked = standingInTheWay(path, rows, now)
          if (blocked !== undefined) return { result: 'refused', reason: blocked }
          if ((row === undefined ? null : revOf(row)) !== entry.expect) return { result: 'changed' }
          if (!here.has(write.digest)) return { result: 'no-blob' }
          const doubled = places.take(path)
          if (doubled !== undefined) return { result: 'refused', reason: doubled }
          const merged = { ...write, metadata: metadataAfter(entry.metadata, row) }
          const sameFile = row?.digest === write.digest && row.expiresAt === (write.expiresAt ?? null)
          if (sameFile) {
            metadata.push({ ...merged, node: row })
            return { result: 'written' }
          }
          const full = room.take(write.sizeBytes - (rows.get(path)?.sizeBytes ?? 0))
          if (full !== undefined) return { result: 'refused', reason: full }
          files.push(merged)
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

/** The source's user entries replace ours; what the system noted here stays. Null: all of ours stay. */
function metadataAfter(incoming: Metadata | null, row: NodeRecord | undefined): Metadata {
  if (incoming === null) return row?.metadata ?? []
  return [...incoming, ...(row?.metadata ?? []).filter((entry) => entry.system === true)]
}

function standingInTheWay(path: NodePath, rows: ReadonlyMap<NodePath, NodeRecord>, now: number): string | undefined {
  if (rows.get(path)?.folder) return 'the target has a folder there'
  const file = ancestorsOf(path).find((ancestor) => visible(rows.get(ancestor), now)?.folder === false)
  return file === undefined ? undefined : `the target has a file at [${file}], where it needs a folder`
}
