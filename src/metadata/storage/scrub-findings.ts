import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import type { BlobRow } from './blobs.ts'

export type DamageKind = 'DAMAGED' | 'MISSING'

/** A blob that its rows promise and that the store does not hold as promised. */
export interface ScrubFinding extends BlobRow {
  readonly kind: DamageKind
  /** UTC epoch milliseconds. */
  readonly foundAt: number
  /** Somebody has sent the bytes again since. */
  readonly healed: boolean
  /** Some of the live files whose content it is, as `project/repo/path`. */
  readonly files: readonly string[]
}

/** Locks the row of a blob against everybody else. @returns false when nobody may rely on it any more. */
export async function lockPromise(trx: Transaction, digest: Digest): Promise<boolean> {
  const row = trx
    .selectFrom('blob')
    .select('size')
    .where('sha256', '=', digestBytes(digest))
    .where('unneeded_since', 'is', null)
  return (await (dialectOf(trx) === 'postgres' ? row.forUpdate() : row).executeTakeFirst()) !== undefined
}

/** Locks the row of a blob that nobody relies on. @returns false when somebody has brought its bytes again. */
export async function lockWithdrawn(trx: Transaction, digest: Digest): Promise<boolean> {
  const row = trx
    .selectFrom('blob')
    .select('size')
    .where('sha256', '=', digestBytes(digest))
    .where('unneeded_since', 'is not', null)
  return (await (dialectOf(trx) === 'postgres' ? row.forUpdate() : row).executeTakeFirst()) !== undefined
}

/** From here on nobody relies on the blob: whoever sends its bytes puts them back. The caller holds its row. */
export async function withdrawPromise(trx: Transaction, blob: BlobRow, kind: DamageKind, now: number): Promise<void> {
  const sha256 = digestBytes(blob.digest)
  await trx.updateTable('blob').set({ unneeded_since: now }).where('sha256', '=', sha256).execute()
  await trx
    .insertInto('scrub_finding')
    .values({ sha256, kind, size: blob.sizeBytes, found_at: now })
    .onConflict((oc) => oc.column('sha256').doUpdateSet({ kind, found_at: now }))
    .execute()
}

const FILES_SHOWN = 10

/** Newest first. */
export async function pageFindings(reader: Reader, page: PageRequest): Promise<Page<ScrubFinding>> {
  const { total } = await reader
    .selectFrom('scrub_finding')
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const rows = await reader
    .selectFrom('scrub_finding')
    .leftJoin('blob', 'blob.sha256', 'scrub_finding.sha256')
    .select(['scrub_finding.sha256', 'kind', 'scrub_finding.size', 'found_at', 'blob.sha256 as row', 'unneeded_since'])
    .orderBy('found_at', 'desc')
    .orderBy('scrub_finding.sha256')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  const records = await Promise.all(
    rows.map(
      async (row): Promise<ScrubFinding> => ({
        digest: digestFromBytes(row.sha256),
        sizeBytes: row.size,
        kind: row.kind,
        foundAt: row.found_at,
        healed: row.row !== null && row.unneeded_since === null,
        files: await filesOf(reader, row.sha256),
      }),
    ),
  )
  return { ...page, totalRecords: total, records }
}

/** How many blobs are wanting now, by kind. */
export async function countFindings(reader: Reader): Promise<Readonly<Record<DamageKind, number>>> {
  const rows = await reader
    .selectFrom('scrub_finding')
    .innerJoin('blob', 'blob.sha256', 'scrub_finding.sha256')
    .where('unneeded_since', 'is not', null)
    .select((eb) => ['kind', eb.fn.countAll<number>().as('count')])
    .groupBy('kind')
    .execute()
  return { DAMAGED: 0, MISSING: 0, ...Object.fromEntries(rows.map(({ kind, count }) => [kind, count])) }
}

/** Forgets findings whose blob is gone, or healed before `before`. */
export async function forgetFindings(trx: Transaction, before: number): Promise<void> {
  await trx
    .deleteFrom('scrub_finding')
    .where('found_at', '<', before)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('blob')
            .select('size')
            .whereRef('blob.sha256', '=', 'scrub_finding.sha256')
            .where('unneeded_since', 'is not', null),
        ),
      ),
    )
    .execute()
}

async function filesOf(reader: Reader, sha256: Uint8Array): Promise<string[]> {
  const rows = await reader
    .selectFrom('node')
    .innerJoin('repository', 'repository.id', 'node.repo_id')
    .where('node.sha256', '=', sha256)
    .where('node.deleted_at', 'is', null)
    .select(['repository.project', 'repository.name', 'node.path'])
    .orderBy('node.id')
    .limit(FILES_SHOWN)
    .execute()
  return rows.map(({ project, name, path }) => `${project}/${name}${path}`)
}
