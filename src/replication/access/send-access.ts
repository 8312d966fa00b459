import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { type AccessAnswer, MAX_COPIED_USERS } from '../../remotes/cluster/access-messages.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { RunObject, RunSpec } from '../runs/run-spec.ts'
import { LinkStopped } from '../runs/stop-reasons.ts'
import { type CollectedAccess, collectAccess } from './collect-access.ts'

/** What of a link decides whose rights go along. */
export interface AccessLink {
  readonly spec: Pick<RunSpec, 'taskKey' | 'includesPermissions' | 'objects'>
  readonly object: RunObject
  readonly repository: Pick<Repository, 'id' | 'project' | 'name'>
}
type Client = Pick<ClusterClient, 'greeting' | 'putAccess'>

export interface AccessSender {
  /** Nothing when the task does not want it. @throws LinkStopped when the target cannot take it, and as `ClusterClient`. */
  send(link: AccessLink, client: Client, signal: AbortSignal): Promise<void>
  collect(link: AccessLink): Promise<CollectedAccess>
  put(link: AccessLink, access: CollectedAccess, client: Client, signal: AbortSignal): Promise<void>
}

interface AccessSenderDeps {
  readonly db: MetadataDatabase
  readonly clusterId: string
  /** Counts only. */
  onSent(about: { readonly taskKey: string; readonly repository: string } & AccessAnswer): void
}

export function createAccessSender({ db, clusterId, onSent }: AccessSenderDeps): AccessSender {
  function collect({ spec, object, repository }: AccessLink): Promise<CollectedAccess> {
    const { remoteProject, remoteRepo } = object
    // What is about the whole server goes once, with the first repository.
    const extent = spec.includesPermissions === 'server' && object === spec.objects[0] ? 'server' : 'repository'
    return collectAccess(longReads(db), { repository, remoteProject, remoteRepo, extent })
  }

  async function put(link: AccessLink, access: CollectedAccess, client: Client, signal: AbortSignal): Promise<void> {
    const { features } = await client.greeting(signal)
    if (!features.permissions) {
      throw new LinkStopped('the target takes no users and permissions: upgrade it, or leave includePermission out')
    }
    const { users, projects } = access
    // Users before what names them; the last slice brings roles and permissions.
    const last = Math.max(0, Math.ceil(users.length / MAX_COPIED_USERS) - 1) * MAX_COPIED_USERS
    for (let at = 0; at <= last; at += MAX_COPIED_USERS) {
      const slice = {
        sourceId: clusterId,
        copiedUsers: users.slice(at, at + MAX_COPIED_USERS),
        copiedProjects: at === last ? projects : [],
      }
      const answer = await client.putAccess(slice, signal)
      const { project, name } = link.repository
      onSent({ taskKey: link.spec.taskKey, repository: `${project}/${name}`, ...answer })
    }
  }

  return {
    collect,
    put,
    async send(link, client, signal) {
      if (link.spec.includesPermissions === undefined) return
      await put(link, await collect(link), client, signal)
    },
  }
}
