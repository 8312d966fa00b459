import type { Reader } from '../../metadata/database.ts'
import { listShownPackages, type PackageNameFilter } from '../../metadata/packages/package-names.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { listVirtualRepositories } from '../../metadata/repositories/visible-repositories.ts'
import { type Member, membersOfEach } from '../views/virtual-members.ts'
import type { CallerReach } from './caller-reach.ts'
import type { CatalogEntry } from './catalog-entry.ts'

const VIEWS_AT_ONCE = 20

/**
 * Images that VIRTUAL repositories show, ascending by project, repository and image; one that several members have comes for each. The
 * caller may pull it from the VIRTUAL one, and read it in the member and in what lies between.
 */
export async function* imagesOfViews(
  reader: Reader,
  { after, limit, ...filter }: PackageNameFilter,
  may: CallerReach['may'],
): AsyncGenerator<CatalogEntry> {
  let from = after ?? { project: '', repo: '', name: '' }
  while (true) {
    const views = await listVirtualRepositories(reader, { ...filter, from, limit: VIEWS_AT_ONCE })
    yield* imagesOf(reader, views, from, limit, may)
    const last = views.at(-1)
    if (last === undefined || views.length < VIEWS_AT_ONCE) return
    from = { project: last.project, repo: `${last.name}\u0001`, name: '' }
  }
}

async function* imagesOf(
  reader: Reader,
  views: readonly Repository[],
  after: CatalogEntry,
  limit: number,
  may: CallerReach['may'],
): AsyncGenerator<CatalogEntry> {
  const members = (await membersOfEach(reader, views)).map(
    (some) => new Map<number, Member>(some.map((member) => [member.repository.id, member])),
  )
  const shown = members.flatMap((some, place) => [...some.keys()].map((repoId) => ({ place, repoId })))
  const [first] = views
  const isWithin = first?.project === after.project && first.name === after.repo
  let last = isWithin ? { place: 0, name: after.name, repoId: Number.MAX_SAFE_INTEGER } : undefined
  while (true) {
    const page = await listShownPackages(reader, shown, last, limit)
    for (const { place, repoId, name } of page) {
      const view = views[place]!
      const { repository, through } = members[place]!.get(repoId)!
      const isReadable = [...through, repository].every((one) => may('READ', one, name))
      if (isReadable && may('DOWNLOAD', view, name)) yield { project: view.project, repo: view.name, name }
    }
    if (page.length < limit) return
    last = page.at(-1)
  }
}
