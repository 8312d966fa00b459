import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import { type Lanes, sameLanes } from '../../core/lanes.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { liveAt, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { findPeerLink } from '../../metadata/replication/peers.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import type { CompareAnswer, CompareRequest, FileOffer, Verdict } from '../../remotes/cluster/messages.ts'
import { checkEpoch, checkedDigest, checkedPath, visible } from './checked.ts'
import { deliveryMark } from './delivery-mark.ts'

interface CompareDeps {
  readonly db: MetadataDatabase
  readonly repositories: Repositories
  readonly clock: Clock
}

interface Link {
  readonly via: number | undefined
  readonly run: number
  readonly includeMetadata: boolean
}

/** Says of each offered file how this side stands to it, and which bytes are here; those are kept for the grace time from now. */
export function createComparer({ db, repositories, clock }: CompareDeps) {
  return async function compare(linkKey: string, request: CompareRequest): Promise<CompareAnswer> {
    const repository = await repositories.get(request.project, request.repo)
    checkEpoch(repository, request)
    const now = clock.now()
    const offers = request.offers.map((offer) => ({
      ...offer,
      path: checkedPath(offer.path),
      digest: checkedDigest(offer.sha256),
    }))
    const folders = [...new Set(offers.flatMap(({ path }) => ancestorsOf(path)))]
    const rows = await liveAt(db.read, repository.id, [...offers.map(({ path }) => path), ...folders])
    const blocked = new Set(folders.filter((path) => visible(rows.get(path), now)?.folder === false))
    const via = await findPeerLink(db.read, request.sourceId, linkKey)
    const link = { via, run: request.run, includeMetadata: request.includeMetadata }
    const here = await db.transact((trx) =>
      touchBlobs(
        trx,
        offers.map(({ digest }) => digest),
        now,
      ),
    )
    const verdicts = offers.map((offer): Verdict => {
      const hasBlob = here.has(offer.digest)
      if (ancestorsOf(offer.path).some((path) => blocked.has(path))) return { there: 'folder', rev: null, hasBlob }
      return { ...verdictOf(offer, visible(rows.get(offer.path), now), link), hasBlob }
    })
    return { verdicts }
  }
}

type Stand = Omit<Verdict, 'hasBlob'>

function verdictOf(
  offer: FileOffer & { digest: Digest; path: NodePath },
  row: NodeRecord | undefined,
  link: Link,
): Stand {
  if (row === undefined) return { there: 'absent', rev: null }
  const rev = revOf(row)
  if (row.folder) return { there: 'folder', rev }
  const mine = link.via !== undefined && row.viaLink === link.via
  const sameContent = row.digest === offer.digest && row.expiresAt === offer.expiresAt
  const sameMetadata = !link.includeMetadata || sameLanes(row.metadataLanes, offer.metaLanes as Lanes)
  if (!sameContent || !sameMetadata) return { there: mine ? 'ours' : 'other', rev }
  const delivered = mine ? deliveryMark.read(row.viaMark, link.run) : undefined
  return delivered === undefined ? { there: 'same', rev } : { there: 'same', rev, delivered }
}

/** Names the state of a row: another content is another row, a change of metadata is another clock stamp. */
export const revOf = (row: NodeRecord): string => `${row.id}.${row.hlc}`
