import type { Clock } from '../core/clock.ts'
import { AppError, messageOf } from '../core/errors.ts'
import { createHttpClient } from '../remotes/transport/http-client.ts'
import type { ClusterTarget } from './cluster.ts'

/** A user of another cluster, as whom somebody here wants to write over there. */
export interface RemoteUser {
  readonly username: string
  readonly password: string
}

/**
 * Asks another cluster whether a user of its own may write one of its repositories (replication.md 1.4).
 * @throws AppError PERMISSION_DENIED when it refuses the login or the right; RESOURCE_NOT_FOUND when it has no such repository;
 * CLUSTER_CONNECT_ERROR when it does not answer as a cluster does.
 */
export type CheckRemoteWriter = (
  clusterId: string,
  user: RemoteUser,
  repository: { readonly project: string; readonly repo: string },
  signal: AbortSignal,
) => Promise<void>

const LIMITS = { connections: 1, idleMs: 10_000, answerMs: 10_000, maxAnswerBytes: 64 * 1024 }

export const createRemoteWriterCheck =
  (getTarget: (clusterId: string) => Promise<ClusterTarget>, clock: Clock): CheckRemoteWriter =>
  async (clusterId, { username, password }, { project, repo }, signal) => {
    const target = await getTarget(clusterId)
    const { name, certificate, way } = target
    const url = target.url.replace(/\/+$/, '').replace(/\/replication$/, '')
    using http = createHttpClient({ url, username, password, certificate, way }, LIMITS, clock)
    const question = { uid: username, resourceType: 'REPO', action: 'WRITE', projectId: project, repoName: repo }
    const body = Buffer.from(JSON.stringify(question))
    const headers = { 'content-type': 'application/json' }
    const failed = (why: string, cause?: unknown) =>
      new AppError(
        'CLUSTER_CONNECT_ERROR',
        `remote cluster [${name}] connect error: ${why}`,
        { cluster: name },
        { cause },
      )
    const denied = (why: string) =>
      new AppError('PERMISSION_DENIED', `Access denied: user [${username}] of cluster [${name}] ${why}`, {
        cluster: name,
      })
    const answer = await http
      .send({ method: 'POST', path: '/auth/api/permission/check', headers, body }, signal)
      .catch((error: unknown) => {
        signal.throwIfAborted()
        throw failed(messageOf(error), error)
      })
    if (answer.status === 401) throw denied('is refused there: look at user name and password')
    if (answer.status === 403) throw denied(`may not write [${project}/${repo}]`)
    if (answer.status === 404) {
      throw new AppError('RESOURCE_NOT_FOUND', `Resource [${project}/${repo}] not found at cluster [${name}]`, {
        cluster: name,
      })
    }
    const allowed = answer.status === 200 ? dataOf(answer.body) : undefined
    if (allowed === undefined) throw failed(`it answered ${answer.status} when it was asked for rights`)
    if (!allowed) throw denied(`may not write [${project}/${repo}], or it is not there`)
  }

/** Undefined: it is not what a cluster says. */
function dataOf(body: Buffer): boolean | undefined {
  try {
    const { data } = JSON.parse(body.toString()) as { data?: unknown }
    return typeof data === 'boolean' ? data : undefined
  } catch {
    return undefined
  }
}
