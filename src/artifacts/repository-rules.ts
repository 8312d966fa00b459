import { type AppError, invalid, notBuilt } from '../core/errors.ts'
import { isRepositoryName } from '../core/names.ts'
import { REPOSITORY_TYPES } from '../core/repository-type.ts'
import { chosen, fieldsOf, unreadable } from '../core/request-fields.ts'
import type { RepositoryCategory } from '../metadata/repositories.ts'

const TYPES = REPOSITORY_TYPES.filter((type) => type !== 'NONE')
const CATEGORIES = ['LOCAL', 'COMPOSITE', 'REMOTE', 'VIRTUAL', 'PROXY'] as const
const DEFAULT_CATEGORY = 'COMPOSITE'

export interface RepositoryRequest {
  readonly project: string
  readonly name: string
  readonly type: string
  /** COMPOSITE when missing. */
  readonly category?: string | null | undefined
  readonly public?: boolean | null | undefined
  readonly description?: string | null | undefined
  readonly displayName?: string | null | undefined
  /** A JSON object. */
  readonly configuration?: unknown
  /** Bytes. */
  readonly quota?: number | null | undefined
  readonly storageCredentialsKey?: string | null | undefined
}

export interface RepositoryPlan {
  readonly type: string
  readonly category: RepositoryCategory
  readonly configuration: Readonly<Record<string, unknown>>
}

/**
 * What a request for a repository means.
 * @throws AppError PARAMETER_INVALID, REQUEST_CONTENT_INVALID for a value the contract does not know, OPTION_NOT_BUILT for one
 * that it knows and a later release builds.
 */
export function planRepository(wanted: RepositoryRequest, builtTypes: readonly string[]): RepositoryPlan {
  if (!isRepositoryName(wanted.name)) throw invalid('name', 'it must match ^[a-zA-Z_][a-zA-Z0-9.\\-_]{1,63}$')
  const type = chosen(wanted.type, TYPES)
  if (type === undefined) throw unreadable('type', `must be one of ${TYPES.join(', ')}`)
  if (!builtTypes.includes(type)) throw later('type', type, `built so far: ${builtTypes.join(', ')}`)
  const category = chosen(wanted.category ?? DEFAULT_CATEGORY, CATEGORIES)
  if (category === undefined) throw unreadable('category', `must be one of ${CATEGORIES.join(', ')}`)
  if (category !== 'LOCAL' && category !== 'COMPOSITE')
    throw later('category', category, 'built so far: LOCAL, COMPOSITE')
  if ((wanted.quota ?? null) !== null) throw later('quota', String(wanted.quota), 'leave it out')
  if (wanted.storageCredentialsKey) throw later('storageCredentialsKey', wanted.storageCredentialsKey, 'leave it out')
  return { type, category, configuration: planConfiguration(wanted.configuration, category) }
}

/** Settings that would do nothing yet are refused; what only describes is kept as it came. */
export function planConfiguration(given: unknown, category: RepositoryCategory): Readonly<Record<string, unknown>> {
  const type = category.toLowerCase()
  if (given === undefined || given === null) return { type, settings: {} }
  const fields = fieldsOf(given, 'configuration')
  const said = fields.text('type')
  if (said !== undefined && !['local', 'composite'].includes(said)) {
    throw ['remote', 'virtual', 'proxy'].includes(said)
      ? later('configuration.type', said, 'built so far: local, composite')
      : unreadable('configuration.type', `must be ${type}`)
  }
  const channels = fields.object('proxy')?.list('channelList') ?? []
  if (channels.length > 0)
    throw later('configuration.proxy.channelList', `${channels.length} channels`, 'leave it empty')
  const settings = fields.object('settings')
  if (settings?.object('cleanupStrategy')?.flag('enable')) {
    throw later('settings.cleanupStrategy.enable', 'true', 'set it to false')
  }
  if ((settings?.list('interceptors') ?? []).length > 0)
    throw later('settings.interceptors', 'a rule', 'leave it empty')
  return { settings: {}, ...(given as object), type }
}

const later = (option: string, value: string, instead: string): AppError =>
  notBuilt(`${option} [${value}]`, `comes with a later release; ${instead}`)
