import { X509Certificate } from 'node:crypto'
import { empty, invalid, missing, notBuilt } from '../core/errors.ts'
import { fieldsOf, type RequestFields } from '../core/request-fields.ts'
import { checkOutgoingUrl, withScheme } from '../remotes/outgoing-url.ts'
import { CLUSTER_TYPES, type ClusterType, DETECT_TYPES, type DetectType } from './cluster.ts'

const MIN_NAME_LENGTH = 2
/** Distribution makes names like `project/repo/name`. */
const MAX_NAME_LENGTH = 256
/** What the API shows instead of a secret; sent back, it means "as it was". */
const MASK = '******'

/** A checked request. In an update, undefined means: as stored; null: none. */
export interface ClusterChange {
  readonly name: string
  /** An update may repeat it, not change it. */
  readonly type: ClusterType | undefined
  readonly url: string | undefined
  readonly username: string | null | undefined
  readonly password: string | null | undefined
  readonly certificate: string | null | undefined
  /** Bytes per second; ours. */
  readonly rateLimit: number | null | undefined
  readonly detectType: DetectType | undefined
  /** Connect before storing; one that reports cannot be connected to. */
  readonly ping: boolean
}
export interface ClusterRequest extends ClusterChange {
  readonly url: string
  readonly type: ClusterType
  readonly detectType: DetectType
}

/**
 * Body of `POST /cluster/create` (replication.md 1.5). Pure.
 * @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID; OPTION_NOT_BUILT for the
 * types and options that this release does not act on.
 */
export function checkClusterRequest(body: unknown): ClusterRequest {
  const fields = fieldsOf(body)
  const name = nameOf(fields)
  fields.requiredText('url')
  const url = urlOf(fields)!
  const connection = connectionOf(fields, name)
  const { type } = connection
  if (type === undefined) throw missing('type')
  const detectType = connection.detectType ?? 'PING'
  if (detectType === 'REPORT' && type !== 'EDGE') throw onlyEdgesReport()
  return { ...connection, type, url, detectType }
}

/** Body of `POST /cluster/update`: the name says which, absent fields stay. Throws as above. */
export function checkClusterUpdate(body: unknown): ClusterChange {
  const fields = fieldsOf(body)
  return connectionOf(fields, nameOf(fields))
}

function connectionOf(fields: RequestFields, name: string): ClusterChange {
  const change: ClusterChange = {
    name,
    type: fields.choice('type', CLUSTER_TYPES),
    url: urlOf(fields),
    username: optional(fields, 'username'),
    password: passwordOf(fields),
    certificate: certificateOf(fields),
    rateLimit: rateLimitOf(fields),
    detectType: fields.choice('detectType', DETECT_TYPES),
    ping: fields.flag('ping') ?? true,
  }
  if (change.username?.includes(':'))
    throw invalid('username', 'it holds a colon, which Basic authentication cannot carry')
  refuseWhatIsNotBuilt(fields)
  return change
}

export const onlyEdgesReport = () => invalid('detectType', 'only a cluster of type EDGE reports')

function nameOf(fields: RequestFields): string {
  const name = fields.requiredText('name')
  if (name.length < MIN_NAME_LENGTH || name.length > MAX_NAME_LENGTH) {
    throw invalid('name', `it must have ${MIN_NAME_LENGTH} to ${MAX_NAME_LENGTH} characters`)
  }
  return name
}

function urlOf(fields: RequestFields): string | undefined {
  const given = fields.text('url')
  if (given === undefined) return undefined
  if (given.trim() === '') throw empty('url')
  const url = withScheme(given.trim())
  // Clusters often stand in private networks (architecture.md §8); link-local addresses stay refused.
  checkOutgoingUrl('url', url, { allowPrivate: true })
  return url
}

/** Undefined: absent (null too); null: empty text, which means none. */
function optional(fields: RequestFields, name: string): string | null | undefined {
  const value = fields.text(name)
  return value === '' ? null : value
}

function passwordOf(fields: RequestFields): string | null | undefined {
  const value = optional(fields, 'password')
  return value === MASK ? undefined : value
}

/** 0 and below: no limit, as in a task's setting. */
function rateLimitOf(fields: RequestFields): number | null | undefined {
  const given = fields.integer('rateLimit')
  return given !== undefined && given <= 0 ? null : given
}

function certificateOf(fields: RequestFields): string | null | undefined {
  const value = optional(fields, 'certificate')
  if (typeof value !== 'string') return value
  try {
    new X509Certificate(value)
    return value
  } catch {
    throw invalid('certificate', 'it must be an X.509 certificate in PEM form')
  }
}

function refuseWhatIsNotBuilt(fields: RequestFields): void {
  if (fields.choice('type', CLUSTER_TYPES) === 'REMOTE') {
    throw notBuilt('type REMOTE', 'is not built yet; STANDALONE, EDGE and CENTER are')
  }
  for (const name of ['appId', 'accessKey', 'secretKey']) {
    if ((fields.text(name) ?? '') !== '') throw notBuilt(name, 'is not built yet; use username and password')
  }
  if (fields.integer('udpPort') !== undefined) throw notBuilt('udpPort', 'is not built')
}
