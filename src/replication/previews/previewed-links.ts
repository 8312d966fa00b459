import { findLinkByKey, type Link } from '../../metadata/replication/links.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'
import type { LinkView } from '../planning/link-plan.ts'
import { resolveScope, type ScopeSource } from '../planning/link-scope.ts'
import { linkKeyOf } from '../runs/link-key.ts'
import type { RunObject, RunSpec, RunTarget } from '../runs/run-spec.ts'
import type { PreviewedLink } from './preview.ts'

export interface LinkPlace {
  readonly object: RunObject
  readonly target: RunTarget
}

/** All links of a task, those of one target after another. */
export const placesOf = ({ objects, targets }: RunSpec): LinkPlace[] =>
  targets.flatMap((target) => objects.map((object) => ({ object, target })))

/** Two objects of the task whose files meet at one target. */
export const toSameRepository = (one: LinkPlace, other: LinkPlace): boolean =>
  one.target.id === other.target.id &&
  one.object.remoteProject === other.object.remoteProject &&
  one.object.remoteRepo === other.object.remoteRepo

/** The link as a run would find it, without making it. Undefined: the local repository is gone. */
export async function viewLink(
  source: ScopeSource,
  spec: RunSpec,
  { object, target }: LinkPlace,
): Promise<LinkView | undefined> {
  const { db } = source
  const repository = await findRepository(db.read, object.localProject, object.localRepo)
  if (repository === undefined) return undefined
  const key = linkKeyOf({ ...object, taskKey: spec.taskKey, clusterId: target.id })
  const link = (await findLinkByKey(db.read, key)) ?? newLink(key, repository.id)
  return { spec, link, object, repository, ...(await resolveScope(source, repository, object, spec)) }
}

/** Of the database none has this id: it has no ledger. */
const NO_LINK = -1
const newLink = (key: string, repoId: number): Link => ({ id: NO_LINK, key, repoId, scopeHash: '', cursor: undefined })

export const describePlace = ({ object, target }: LinkPlace): Omit<PreviewedLink, 'errorReason'> => ({
  clusterId: target.id,
  clusterName: target.name,
  localProject: object.localProject,
  localRepo: object.localRepo,
  remoteProject: object.remoteProject,
  remoteRepo: object.remoteRepo,
})
export const goneReason = ({ object }: LinkPlace): string =>
  `Repository [${object.localProject}/${object.localRepo}] not found here`
