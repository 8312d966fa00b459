import type { FileWrite } from '../src/artifacts/nodes/node-writer.ts'
import { putFiles } from '../src/artifacts/nodes/node-writer.ts'
import { digestOfBytes } from '../src/core/digest.ts'
import { HlcClock } from '../src/core/hlc.ts'
import { normalisePath } from '../src/core/paths.ts'
import type { MetadataDatabase } from '../src/metadata/database.ts'
import type { Repository } from '../src/metadata/repositories/repositories.ts'
import { claimBlobs } from '../src/metadata/storage/blobs.ts'

/** What uploads of new files write, as far as the database goes: one transaction each call. */
export function uploader(db: MetadataDatabase, repository: Repository, filesPerTransaction: number) {
  const hlc = new HlcClock(Date.now)
  let uploaded = 0
  const next = (at: number): FileWrite => {
    const n = uploaded++
    return {
      path: normalisePath(`/upkeep/d${n % 500}/file-${n}.bin`),
      digest: digestOfBytes(`content of upload ${n}`),
      ...{ sizeBytes: 1_024, md5: undefined, metadata: [], expiresAt: undefined },
      ...{ createdBy: 'bench', createdAt: at, modifiedBy: 'bench', modifiedAt: at },
      ...{ origin: 0, hlc: hlc.next(), viaLink: undefined, viaMark: undefined },
    }
  }
  return async (): Promise<void> => {
    const at = Date.now()
    const writes = Array.from({ length: filesPerTransaction }, () => next(at))
    await db.transact(async (trx) => {
      await claimBlobs(trx, writes, at)
      await putFiles(trx, repository, writes, new Map(), at)
    })
  }
}
