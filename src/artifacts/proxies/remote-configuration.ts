import { empty, invalid, missing } from '../../core/errors.ts'
import { fieldsOf, type RequestFields, unreadable } from '../../core/request-fields.ts'
import { checkOutgoingUrl } from '../../remotes/outgoing-url.ts'
import {
  type FieldScope,
  type Login,
  NO_LOGIN,
  type PasswordPlan,
  plannedInteger,
  plannedLogin,
  plannedUrl,
  refuseKept,
} from './upstream-fields.ts'

/** What a REMOTE repository is configured with, as it is kept and shown: passwords are masked. */
export interface RemoteConfiguration {
  /** Without a slash at its end. */
  readonly url: string
  readonly credentials: Login
  readonly network: {
    readonly proxy: (Login & { readonly host: string; readonly port: number }) | null
    /** ms */
    readonly connectTimeout: number
    /** ms without a byte */
    readonly readTimeout: number
  }
  readonly cache: {
    readonly enabled: boolean
    /** Minutes; 0 and less: for ever. */
    readonly expiration: number
  }
}

export const STANDARD_TIMEOUT_MS = 10_000
const TIMEOUT = { least: 1, most: 3_600_000, standard: STANDARD_TIMEOUT_MS }
const PORT = { least: 1, most: 65_535, standard: 8080 }
/** ≈ 100 years. */
const EXPIRATION = { least: -1, most: 52_560_000, standard: -1 }
export const CREDENTIALS_SLOT = 'credentials'
export const PROXY_SLOT = 'network.proxy'

/**
 * What a request makes of it. Sections that are left out stay as they were; within a section that is given, fields that are left
 * out have their standard values, but for passwords. @throws AppError naming the field.
 */
export function planRemote(
  fields: RequestFields,
  scope: FieldScope,
  before: RemoteConfiguration | undefined,
): { readonly kept: RemoteConfiguration; readonly passwords: PasswordPlan[] } {
  const { prefix } = scope
  const passwords: PasswordPlan[] = []
  const url = plannedUrl(fields, scope, before?.url)

  const login = fieldsAt(fields, 'credentials', prefix)
  const credentials = plannedLogin(
    login ?? fieldsOf(before?.credentials ?? {}),
    CREDENTIALS_SLOT,
    `${prefix}credentials.`,
    before?.credentials ?? NO_LOGIN,
  )
  if (credentials.password !== undefined) passwords.push(credentials.password)

  const given = fieldsAt(fields, 'network', prefix)
  const network = given ?? fieldsOf(before?.network ?? {})
  const proxy = planForwardProxy(fieldsAt(network, 'proxy', `${prefix}network.`), scope, before)
  if (proxy?.password !== undefined) passwords.push(proxy.password)

  if (before !== undefined) {
    const reaches = (to: string, via: RemoteConfiguration['network']['proxy']) =>
      `${new URL(to).origin} ${via?.host}:${via?.port}`
    const same = reaches(url, proxy?.kept ?? null) === reaches(before.url, before.network.proxy)
    if (!same) for (const password of passwords) refuseKept(password)
  }

  const cache = fieldsAt(fields, 'cache', prefix) ?? fieldsOf(before?.cache ?? {})
  const enabled = cache.raw('enabled') ?? true
  if (typeof enabled !== 'boolean') throw unreadable(`${prefix}cache.enabled`, 'must be true or false')
  return {
    kept: {
      url,
      credentials: credentials.login,
      network: {
        proxy: proxy?.kept ?? null,
        connectTimeout: plannedInteger(network, 'connectTimeout', `${prefix}network.`, TIMEOUT),
        readTimeout: plannedInteger(network, 'readTimeout', `${prefix}network.`, TIMEOUT),
      },
      cache: { enabled, expiration: plannedInteger(cache, 'expiration', `${prefix}cache.`, EXPIRATION) },
    },
    passwords,
  }
}

function planForwardProxy(
  fields: RequestFields | undefined,
  { prefix: above, rules }: FieldScope,
  before: RemoteConfiguration | undefined,
) {
  if (fields === undefined) return undefined
  const prefix = `${above}network.proxy.`
  const host = fields.text('host')
  if (host === undefined) throw missing(`${prefix}host`)
  if (host.trim() === '') throw empty(`${prefix}host`)
  if (!/^[a-zA-Z0-9.\-_:[\]]{1,253}$/.test(host)) throw invalid(`${prefix}host`, 'it is not the name of a host')
  const port = plannedInteger(fields, 'port', prefix, PORT)
  const bare = host.replace(/^\[|\]$/g, '')
  checkOutgoingUrl(`${prefix}host`, `http://${bare.includes(':') ? `[${bare}]` : bare}:${port}`, rules)
  const { login, password } = plannedLogin(fields, PROXY_SLOT, prefix, before?.network.proxy ?? NO_LOGIN)
  return { kept: { host: bare, port, ...login }, password }
}

function fieldsAt(fields: RequestFields, name: string, prefix: string): RequestFields | undefined {
  const found = fields.raw(name)
  return found === undefined ? undefined : fieldsOf(found, prefix + name)
}
