import { putFiles } from '../src/artifacts/nodes/node-writer.ts'
import { digestOfBytes } from '../src/core/digest.ts'
import { HlcClock } from '../src/core/hlc.ts'
import { normalisePath } from '../src/core/paths.ts'
import type { MetadataDatabase } from '../src/metadata/database.ts'
import { findRepository } from '../src/metadata/repositories/repositories.ts'
import { claimBlobs } from '../src/metadata/storage/blobs.ts'

const FILES_AT_ONCE = 1_000
const FILES_PER_FOLDER = 200
const FILE_BYTES = 1_024

/** Puts `/tree/dNNN/file-N.bin` straight into the database of `project/repo`: rows of files, blobs and the change log, no bytes. */
export async function seedTree(db: MetadataDatabase, repository: string, files: number): Promise<void> {
  const [project = '', name = ''] = repository.split('/')
  const found = await findRepository(db.read, project, name)
  if (found === undefined) throw new Error(`${repository} is not there`)
  const hlc = new HlcClock(Date.now)
  for (let from = 0; from < files; from += FILES_AT_ONCE) {
    const at = Date.now()
    const writes = Array.from({ length: Math.min(FILES_AT_ONCE, files - from) }, (_, index) => {
      const n = from + index
      return {
        path: normalisePath(`/tree/d${String(Math.floor(n / FILES_PER_FOLDER)).padStart(4, '0')}/file-${n}.bin`),
        digest: digestOfBytes(`content of file ${n}`),
        sizeBytes: FILE_BYTES,
        md5: undefined,
        metadata: n % 10 === 0 ? [{ key: 'build', value: n }] : [],
        expiresAt: undefined,
        ...{ createdBy: 'bench', createdAt: at, modifiedBy: 'bench', modifiedAt: at },
        ...{ origin: 0, hlc: hlc.next(), viaLink: undefined, viaMark: undefined },
      }
    })
    await db.transact(async (trx) => {
      await claimBlobs(trx, writes, at)
      await putFiles(trx, found, writes, new Map(), at)
    })
  }
}
