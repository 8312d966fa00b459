import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { listPackageNames, type PackageNameFilter } from '../../metadata/packages/package-names.ts'
import { type CallerReach, callerReach } from './caller-reach.ts'
import { type CatalogEntry, inOrderOf } from './catalog-entry.ts'
import { imagesOfViews } from './images-of-views.ts'

/** An image by what a client calls it: `{project}/{repo}/{image}`. */
export interface CatalogRequest {
  /** Undefined: all. */
  readonly only: { readonly project: string; readonly repo: string } | undefined
  /** Exclusive; any text. */
  readonly last: string | undefined
  /** At least 1. */
  readonly limit: number
}

export interface ImageCatalog {
  /**
   * Those that the caller may pull, ascending by project, repository and image; a VIRTUAL repository has those of its members that the
   * caller may read. `more`: there are others after them.
   */
  list(principal: Principal, request: CatalogRequest): Promise<{ readonly names: string[]; readonly more: boolean }>
}

/** Rows that are looked at in one query when little of what there is may be seen. */
const MIN_ROWS = 200

/** @param types of repositories whose packages are images. */
export function createImageCatalog({
  db,
  rights,
  types,
}: {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly rights: Pick<Rights, 'grantsOf'>
  readonly types: readonly RepositoryType[]
}): ImageCatalog {
  return {
    async list(principal, { only, last, limit }) {
      const { visible, may } = callerReach(principal, await rights.grantsOf(principal))
      const after = last === undefined ? undefined : entryOf(last)
      const filter = { types, only, visible, after, limit: Math.max(limit + 1, MIN_ROWS) }
      const found = inOrderOf(imagesOfRepositories(db.read, filter, may), imagesOfViews(db.read, filter, may))
      const names: string[] = []
      for await (const { project, repo, name } of found) {
        const image = `${project}/${repo}/${name}`
        if (image === names.at(-1)) continue
        if (names.length === limit) return { names, more: true }
        names.push(image)
      }
      return { names, more: false }
    },
  }
}

/** Of what repositories hold themselves. */
async function* imagesOfRepositories(
  reader: Reader,
  filter: PackageNameFilter,
  may: CallerReach['may'],
): AsyncGenerator<CatalogEntry> {
  let { after } = filter
  while (true) {
    const page = await listPackageNames(reader, { ...filter, after })
    for (const row of page) {
      const repository = { project: row.project, name: row.repo, id: row.repoId, public: row.public }
      if (may('DOWNLOAD', repository, row.name)) yield row
    }
    if (page.length < filter.limit) return
    after = page.at(-1)
  }
}

function entryOf(text: string): CatalogEntry {
  const [project = '', repo = '', ...rest] = text.split('/')
  return { project, repo, name: rest.join('/') }
}
