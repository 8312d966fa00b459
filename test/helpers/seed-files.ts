import { putFiles } from '../../src/artifacts/nodes/node-writer.ts'
import { digestOfBytes } from '../../src/core/digest.ts'
import { HlcClock } from '../../src/core/hlc.ts'
import type { NodePath } from '../../src/core/paths.ts'
import { findRepository } from '../../src/metadata/repositories/repositories.ts'
import { claimBlobs } from '../../src/metadata/storage/blobs.ts'
import type { LocalCluster } from './local-cluster.ts'

const FILES_AT_ONCE = 1_000
/** 2026-01-01T00:00:00Z. */
const WRITTEN_AT = 1_767_225_600_000

/**
 * Many files of a cluster, without their uploads: each is told by its path, so that two clusters have the same. Nothing can be read
 * from them.
 */
export async function seedFiles({ db }: LocalCluster, repository: string, paths: readonly string[]): Promise<void> {
  const [project = '', name = ''] = repository.split('/')
  const found = (await findRepository(db.read, project, name))!
  const hlc = new HlcClock(() => WRITTEN_AT)
  for (let at = 0; at < paths.length; at += FILES_AT_ONCE) {
    const writes = paths.slice(at, at + FILES_AT_ONCE).map((path) => ({
      ...{ path: path as NodePath, digest: digestOfBytes(path), sizeBytes: path.length, md5: undefined, metadata: [] },
      ...{ createdBy: 'seed', createdAt: WRITTEN_AT, modifiedBy: 'seed', modifiedAt: WRITTEN_AT, expiresAt: undefined },
      ...{ origin: 0, hlc: hlc.next(), viaLink: undefined, viaMark: undefined },
    }))
    await db.transact(async (trx) => {
      await claimBlobs(trx, writes, WRITTEN_AT)
      await putFiles(trx, found, writes, new Map(), WRITTEN_AT)
    })
  }
}
