import { X509Certificate } from 'node:crypto'
import { AppError, empty, invalid, missing, notBuilt } from '../core/errors.ts'
import { fieldsOf, type RequestFields } from '../core/request-fields.ts'
import { checkOutgoingUrl, withScheme } from '../remotes/outgoing-url.ts'
import { CLUSTER_TYPES, type ClusterType, DETECT_TYPES, type DetectType } from './cluster.ts'

const MIN_NAME_LENGTH = 2
/** Distribution makes names like `project/repo/name`. */
const MAX_NAME_LENGTH = 256
/** Of `url`; of the others they are far above what anybody uses. */
const MAX_URL_LENGTH = 2_048
const MAX_LOGIN_LENGTH = 1_024
const MAX_CERTIFICATE_LENGTH = 65_536
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
  /** Of a platform account over there; shown, not sent. */
  readonly appId: string | null | undefined
  readonly accessKey: string | null | undefined
  readonly secretKey: string | null | undefined
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
  const { username = null, appId = null, accessKey = null, secretKey } = connection
  checkLogin({ username, appId, accessKey, hasSecretKey: Boolean(secretKey) })
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
    password: secretOf(fields, 'password'),
    certificate: certificateOf(fields),
    appId: optional(fields, 'appId'),
    accessKey: optional(fields, 'accessKey'),
    secretKey: secretOf(fields, 'secretKey'),
    rateLimit: rateLimitOf(fields),
    detectType: fields.choice('detectType', DETECT_TYPES),
    ping: fields.flag('ping') ?? true,
  }
  if (change.username?.includes(':')) throw withColon()
  if (change.accessKey?.includes(':')) throw invalid('accessKey', 'it holds a colon, which no access key does')
  if (change.password && change.secretKey) throw invalid('secretKey', 'give a password or a key pair, not both')
  refuseWhatIsNotBuilt(fields)
  return change
}

/** How a cluster is logged in to, once a change was made: with a password, with a key pair, or not at all. */
export interface Login {
  readonly username: string | null
  readonly appId: string | null
  readonly accessKey: string | null
  readonly hasSecretKey: boolean
}

/** @throws AppError PARAMETER_MISSING for half a pair, and for a pair that acts for nobody. */
export function checkLogin({ username, appId, accessKey, hasSecretKey }: Login): void {
  if (accessKey === null && (appId !== null || hasSecretKey)) throw missing('accessKey')
  if (accessKey === null) return
  if (!hasSecretKey) throw missing('secretKey')
  if (username === null) {
    const why = 'a key pair acts for a user of that cluster, say for which'
    throw new AppError('PARAMETER_MISSING', `Parameter [username] is missing: ${why}`, { name: 'username' })
  }
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
  if (given.length > MAX_URL_LENGTH) throw tooLong('url', MAX_URL_LENGTH)
  const url = withScheme(given.trim())
  // Clusters often stand in private networks (architecture.md §8); link-local addresses stay refused.
  checkOutgoingUrl('url', url, { allowPrivate: true })
  return url
}

/** Undefined: absent (null too); null: empty text, which means none. */
function optional(fields: RequestFields, name: string): string | null | undefined {
  const value = fields.text(name)
  const most = name === 'certificate' ? MAX_CERTIFICATE_LENGTH : MAX_LOGIN_LENGTH
  if (value !== undefined && value.length > most) throw tooLong(name, most)
  return value === '' ? null : value
}
const tooLong = (name: string, most: number) => invalid(name, `it is longer than ${most} characters`)

function secretOf(fields: RequestFields, name: string): string | null | undefined {
  const value = optional(fields, name)
  return value === MASK ? undefined : value
}

/** 0 and below: no limit, as in a task's setting. */
function rateLimitOf(fields: RequestFields): number | null | undefined {
  const given = fields.integer('rateLimit')
  return given !== undefined && given <= 0 ? null : given
}

function certificateOf(fields: RequestFields): string | null | undefined {
  const value = optional(fields, 'certificate')
  if (typeof value === 'string') checkCertificate(value)
  return value
}
/** @throws AppError PARAMETER_INVALID. */
export function checkCertificate(pem: string): void {
  if (pem.length > MAX_CERTIFICATE_LENGTH) throw tooLong('certificate', MAX_CERTIFICATE_LENGTH)
  try {
    new X509Certificate(pem)
  } catch {
    throw invalid('certificate', 'it must be an X.509 certificate in PEM form')
  }
}
/** @throws AppError PARAMETER_INVALID. */
export function checkRemoteLogin(username: string | undefined, password: string | undefined): void {
  for (const [name, value] of Object.entries({ username, password })) {
    if (value !== undefined && value.length > MAX_LOGIN_LENGTH) throw tooLong(name, MAX_LOGIN_LENGTH)
  }
  if (username?.includes(':')) throw withColon()
}
const withColon = () => invalid('username', 'it holds a colon, which Basic authentication cannot carry')

function refuseWhatIsNotBuilt(fields: RequestFields): void {
  if (fields.choice('type', CLUSTER_TYPES) === 'REMOTE') {
    const how = 'POST /replication/api/remote/distribution/create/{projectId}/{repoName}'
    throw notBuilt('type REMOTE', `is made with the distribution that it belongs to: ${how}`)
  }
  if (fields.integer('udpPort') !== undefined) throw notBuilt('udpPort', 'is not built')
}
