import { appendChanges, type Change, type FileLanes } from '../../src/metadata/changes/change-log.ts'
import { headSeq } from '../../src/metadata/changes/change-numbers.ts'
import { numberChanges } from '../../src/metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'

const FILE: FileLanes = { content: [1, 2, 3, 4], metadata: [5, 6, 7, 8] }

/** A user made a file in repository 1, which need not be there. */
export function change(path: string, differs: Partial<Change> = {}): Change {
  return { repoId: 1, path, op: 1, origin: 0, viaLink: null, at: 1_000, before: undefined, after: FILE, ...differs }
}

/** In one transaction, all of one repository. @returns the number of the last. */
export async function append(db: MetadataDatabase, ...changes: Change[]): Promise<number> {
  await db.transact((trx) => appendChanges(trx, changes))
  await numberChanges(db)
  return headSeq(db.read, changes[0]!.repoId)
}
