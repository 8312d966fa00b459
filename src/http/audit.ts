import type { FastifyContextConfig, FastifyReply, FastifyRequest } from 'fastify'
import type { AuditEvent, AuditLog } from '../auth/audit-log.ts'
import type { Action } from '../auth/grants.ts'
import { isAnonymous } from '../auth/principal.ts'
import type { AppError } from '../core/errors.ts'
import { WIRE } from './envelope.ts'
import type { App } from './route.ts'

export type AuditTrail = Pick<AuditLog, 'record' | 'refused' | 'probed'>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `never`: the route changes nothing although its method could. `always`: it does, although its address is that of data. */
    audit?: 'never' | 'always'
  }
  interface FastifyRequest {
    /** Set by `answerError`: why the request was not done. */
    failure: AppError | undefined
    /** Set by handlers that learn what a mere id in the request is about. */
    auditAbout: AuditPlace | undefined
  }
}

export interface AuditPlace {
  readonly project: string | null
  readonly repo?: string | null
}

const CHANGES: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const MANAGEMENT = /^\/[a-z-]+\/api\//
/** Uploads and downloads of data are too many, and in the change log; deletions by users are kept, in all protocols. */
const NO_DELETION = /^\/(?:sync|generic\/(?:block|separate))\//

/**
 * Writes a row for each management change, done or failed, before its answer goes out, and one for each refusal, on any route, some
 * time after. Costs nothing on routes of data that are allowed.
 */
export function auditRequests(app: App, audit: AuditTrail): void {
  app.addHook('onRoute', (route) => {
    if (!isAudited([route.method].flat(), route.url, route.config)) return
    const write = async (request: FastifyRequest, reply: FastifyReply) => {
      if (isRefusal(reply.statusCode)) return
      const event = eventOf(request, reply)
      try {
        await audit.record(event)
      } catch (error) {
        // What was done is done: the log keeps what the table could not.
        request.log.error({ err: error, event }, 'a change was not written to the audit log')
      }
    }
    route.onSend = [write, ...[route.onSend ?? []].flat()]
  })
  app.addHook('onResponse', (request, reply, next) => {
    if (isRefusal(reply.statusCode)) {
      const event = eventOf(request, reply)
      if (request.headers.authorization === undefined) audit.probed(event)
      else audit.refused(event)
    }
    next()
  })
}

/** A listing that needs a body is a POST. */
const READS: ReadonlySet<Action> = new Set(['READ', 'VIEW', 'DOWNLOAD'])

function isAudited(methods: readonly string[], url: string, config: FastifyContextConfig = {}): boolean {
  const { audit, access } = config
  if (audit !== undefined) return audit === 'always'
  if (typeof access === 'object' && 'repo' in access && READS.has(access.repo)) return false
  if (MANAGEMENT.test(url)) return methods.some((method) => CHANGES.has(method))
  return methods.includes('DELETE') && !NO_DELETION.test(url)
}

/** 429: of throttled logins; other limits have other answers or concern no access. */
const isRefusal = (status: number): boolean => status === 401 || status === 403 || status === 429

function eventOf(request: FastifyRequest, reply: FastifyReply): AuditEvent {
  const { principal, failure, ip, routeOptions, method } = request
  const { userId: claimedUser, appId: claimedApp } = failure?.detail ?? {}
  const unknown = isAnonymous(principal) && principal.appId === undefined
  const { project, repo, resource } = namedBy(request, unknown ? failure?.detail.accessKey : undefined)
  return {
    userId: unknown && typeof claimedUser === 'string' ? claimedUser : principal.userId,
    appId: principal.appId ?? (unknown && typeof claimedApp === 'string' ? claimedApp : null),
    address: ip,
    action: `${method} ${routeOptions.url ?? 'unknown'}`,
    ...{ project, repo, resource },
    outcome: isRefusal(reply.statusCode) ? 'REFUSED' : reply.statusCode < 400 ? 'SUCCESS' : 'FAILED',
    code: codeOf(failure, reply.statusCode),
    traceId: request.traceId,
  }
}

/** Protocols with errors of their own tell us the status only. */
const BY_STATUS: Readonly<Record<number, number>> = {
  401: WIRE.UNAUTHENTICATED[0],
  403: WIRE.PERMISSION_DENIED[0],
  429: WIRE.TOO_MANY_REQUESTS[0],
}
function codeOf(failure: AppError | undefined, status: number): number {
  if (status < 400) return 0
  return failure === undefined ? (BY_STATUS[status] ?? WIRE.SYSTEM_ERROR[0]) : WIRE[failure.code][0]
}

const MAX_VALUE_LENGTH = 256
const MAX_RESOURCE_LENGTH = 1024
const PROJECT_NAMES = ['projectId', 'srcProjectId', 'localProjectId'] as const
const REPOSITORY_NAMES = ['repoName', 'srcRepoName', 'localRepoName'] as const
/** Fields that name things, and nothing else: no field of a body gets here unless it is listed. */
const NAMES = [
  ...['uid', 'userId', 'name', 'appId', 'accessKey', 'status', 'rid', 'roleId', 'permName', 'id', 'permissionId'],
  ...['fullPath', 'newFullPath', 'srcFullPath', 'destProjectId', 'destRepoName', 'destFullPath', 'date', 'forced'],
  ...[
    'key',
    'taskKey',
    'taskId',
    'storeLocation',
    'location',
    'packageKey',
    'version',
    '*',
    'resourceType',
    'admin',
    'locked',
    'public',
  ],
] as const
/** Lists of such names. */
const LISTS = [
  ...['userId', 'rId', 'repos', 'path', 'actions', 'idList', 'fullPathSet', 'authorizedUserSet', 'authorizedIpSet'],
  ...['users', 'roles', 'includePattern', 'excludePattern', 'asstUsers', 'scope', 'keyList'],
] as const
/** Bodies that are such a list themselves. */
const BODY_LISTS: Readonly<Record<string, string>> = {
  '/auth/api/user/role/add/:rid': 'idList',
  '/auth/api/user/role/delete/:rid': 'idList',
}

function namedBy(request: FastifyRequest, claimedKey: unknown): Pick<AuditEvent, 'project' | 'repo' | 'resource'> {
  const { params, query, body, auditAbout } = request
  const bodyList = BODY_LISTS[request.routeOptions.url ?? '']
  const listBody = bodyList !== undefined && Array.isArray(body) ? { [bodyList]: body } : body
  const sources = [params, query, listBody, { accessKey: claimedKey }].filter(
    (source): source is Record<string, unknown> =>
      typeof source === 'object' && source !== null && !Array.isArray(source) && !Buffer.isBuffer(source),
  )
  const given = (name: string): unknown => sources.find((source) => Object.hasOwn(source, name))?.[name]
  const find = (name: string): string | undefined => {
    const value = given(name)
    const plain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    return plain ? storable(String(value)).slice(0, MAX_VALUE_LENGTH) : undefined
  }
  const first = (names: readonly string[]) => names.map(find).find((value) => value !== undefined) ?? null
  const isProject = request.routeOptions.url === '/repository/api/project/create'
  const parts = NAMES.flatMap((name) => {
    const value = find(name)
    return value === undefined || value === '' ? [] : [`${name === '*' ? 'path' : name}=${value}`]
  })
  for (const name of LISTS) {
    const list = given(name)
    if (Array.isArray(list)) parts.push(`${name}=[${listed(list)}]`)
  }
  const resource = parts.join(' ').slice(0, MAX_RESOURCE_LENGTH)
  return {
    project: auditAbout?.project ?? (isProject ? (find('name') ?? null) : first(PROJECT_NAMES)),
    repo: auditAbout?.repo ?? first(REPOSITORY_NAMES),
    resource: resource === '' ? null : resource,
  }
}

/** The first ones, and how many more there are. */
function listed(list: readonly unknown[]): string {
  const shown: string[] = []
  let room = MAX_VALUE_LENGTH
  for (const value of list) {
    const text = typeof value === 'string' ? storable(value).slice(0, MAX_VALUE_LENGTH) : typeof value
    room -= text.length + 1
    if (room < 0) break
    shown.push(text)
  }
  const more = list.length - shown.length
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(',')
}

/** A refused request was not checked for what databases do not keep. */
const storable = (text: string): string => text.toWellFormed().replace(/[\u0000-\u001f]/g, '\ufffd')
