import type { Projects } from '../../artifacts/repositories/projects.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import { takesUploads } from '../../artifacts/repositories/repository-uploads.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import { changeMark, headSeq } from '../../metadata/changes/change-numbers.ts'
import { hasForeignChanges } from '../../metadata/changes/change-spans.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { findPeerLink, internPeerLink } from '../../metadata/replication/peers.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import {
  type LogPosition,
  type OpenAnswer,
  type OpenRequest,
  type RepositoryCreation,
  type RepositoryWanted,
  SYNC_PROTOCOL,
} from '../../remotes/cluster/messages.ts'
import { otherProtocol } from '../../remotes/cluster/other-protocol.ts'

interface OpenLinkDeps {
  readonly db: MetadataDatabase
  readonly projects: Projects
  readonly repositories: Repositories
}

const NOWHERE: LogPosition = { epoch: '', seq: 0, mark: '' }
/** Of one that never wrote here. */
const NO_LINK = -1

/**
 * The target's side of a link's beginning: the repository is there (or is made) and fits, and the source learns whether anybody
 * but this link changed the scope since its last acknowledgement.
 */
export function createLinkOpener({ db, projects, repositories }: OpenLinkDeps) {
  async function ensureRepository(wanted: RepositoryWanted, by: string): Promise<Repository> {
    const found = await repositories.find(wanted.project, wanted.repo)
    if (found !== undefined) return fitting(found, wanted)
    if (!wanted.create) {
      throw new AppError(
        'REPOSITORY_NOT_FOUND',
        `Repository [${wanted.project}/${wanted.repo}] not found at the target`,
        {},
      )
    }
    if ((await projects.find(wanted.project)) === undefined) {
      const project = { name: wanted.project, displayName: wanted.project, description: wanted.projectDescription }
      await tolerating('PROJECT_EXISTED', () => projects.create(project, by))
    }
    const { project, repo: name, type, category, description } = wanted
    const created = {
      project,
      name,
      type,
      category,
      public: wanted.public,
      description,
      configuration: wanted.configuration,
    }
    await tolerating('REPOSITORY_EXISTED', () => repositories.create(created, by))
    return fitting(await repositories.get(wanted.project, wanted.repo), wanted)
  }

  /** Undefined: the repository is there. */
  async function wouldCreate({ project, repo, create }: RepositoryWanted): Promise<RepositoryCreation | undefined> {
    if (!create || (await repositories.find(project, repo)) !== undefined) return undefined
    return { project: (await projects.find(project)) === undefined }
  }

  async function viaOf(linkKey: string, { sourceId, dryRun }: OpenRequest): Promise<number> {
    const known = await findPeerLink(db.read, sourceId, linkKey)
    if (known !== undefined) return known
    return dryRun === true ? NO_LINK : db.transact((trx) => internPeerLink(trx, sourceId, linkKey))
  }

  /** A log that was put back to an earlier state has another row there, or none. */
  async function isSamePlace({ id, epoch, floorSeq }: Repository, known: LogPosition): Promise<boolean> {
    if (known.epoch !== epoch || known.seq < floorSeq) return false
    return known.mark === (await changeMark(db.read, id, known.seq))
  }

  return async function openLink(
    linkKey: string,
    request: OpenRequest,
    by: string,
  ): Promise<Omit<OpenAnswer, 'hello'>> {
    // Sources of protocol 1 do not say so.
    const { protocol = 1 } = request
    if (protocol !== SYNC_PROTOCOL) {
      throw new AppError('CLUSTER_VERSION_UNSUPPORTED', otherProtocol('The source', [protocol]), {})
    }
    if (request.dryRun === true) {
      const creates = await wouldCreate(request.repository)
      if (creates !== undefined) return { head: NOWHERE, pure: false, creates }
    }
    const repository = await ensureRepository(request.repository, by)
    const via = await viaOf(linkKey, request)
    await numberChanges(db)
    const head = await headSeq(db.read, repository.id)
    const { known } = request
    const at = { seq: head, epoch: repository.epoch, mark: await changeMark(db.read, repository.id, head) }
    const comparable = known !== null && (await isSamePlace(repository, known))
    const since = { from: known?.seq ?? 0, to: head, ranges: request.scope, exceptVia: via }
    const pure = comparable && known.seq <= head && !(await hasForeignChanges(longReads(db), repository.id, since))
    return { head: at, pure }
  }
}

/** Two runs may create the same thing at once: the second finds it there. */
async function tolerating(
  code: 'PROJECT_EXISTED' | 'REPOSITORY_EXISTED',
  create: () => Promise<unknown>,
): Promise<void> {
  try {
    await create()
  } catch (error) {
    if (!hasCode(error, code)) throw error
  }
}

function fitting(found: Repository, wanted: RepositoryWanted): Repository {
  if (found.type === wanted.type && takesUploads(found)) return found
  const is = `${found.category} ${found.type}`
  throw new AppError(
    'REPOSITORY_EXISTED',
    `Repository [${wanted.project}/${wanted.repo}] existed at the target as ${is}, which cannot take a copy of type ${wanted.type}: choose another remoteRepoName`,
    {},
  )
}
