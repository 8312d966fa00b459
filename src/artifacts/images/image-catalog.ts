import { decide } from '../../auth/access.ts'
import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { normalisePath } from '../../core/paths.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { listPackageNames, type PackageName } from '../../metadata/packages/package-names.ts'

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
  /** Those that the caller may pull, ascending by project, repository and image. `more`: there are others after them. */
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
      const grants = await rights.grantsOf(principal)
      const mayPull = ({ project: projectId, repo: repoName, repoId: id, public: open, name }: PackageName) => {
        const place = { projectId, repoName, id, public: open, path: normalisePath(name) } as const
        return decide(principal, 'DOWNLOAD', { kind: 'repository', ...place, extent: 'node' }, grants) === 'allow'
      }
      const { administers, repositories } = grants
      const visible = principal.admin ? undefined : { projects: [...administers], repoIds: [...repositories.keys()] }
      const names: string[] = []
      let after = last === undefined ? undefined : cursorOf(last)
      const rows = Math.max(limit + 1, MIN_ROWS)
      while (true) {
        const filter = { types, only, visible, after, limit: rows }
        const page = await listPackageNames(db.read, filter)
        for (const row of page) {
          const name = `${row.project}/${row.repo}/${row.name}`
          if (name === names.at(-1) || !mayPull(row)) continue
          if (names.length === limit) return { names, more: true }
          names.push(name)
        }
        if (page.length < rows) return { names, more: false }
        after = page.at(-1)
      }
    },
  }
}

function cursorOf(text: string): Pick<PackageName, 'project' | 'repo' | 'name'> {
  const [project = '', repo = '', ...rest] = text.split('/')
  return { project, repo, name: rest.join('/') }
}
