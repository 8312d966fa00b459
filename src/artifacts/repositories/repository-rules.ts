import { type AppError, empty, invalid, notBuilt } from '../../core/errors.ts'
import { isRepositoryName } from '../../core/names.ts'
import { REPOSITORY_TYPES } from '../../core/repository-type.ts'
import { chosen, unreadable } from '../../core/request-fields.ts'
import type { RepositoryCategory } from '../../metadata/repositories/repositories.ts'
import type { OutgoingRules } from '../../remotes/outgoing-url.ts'
import { type ConfigurationPlan, planConfiguration } from './repository-configuration.ts'

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
  readonly display?: boolean | null | undefined
  /** Whoever makes it when missing. */
  readonly owner?: string | null | undefined
  readonly visibility?: string | null | undefined
  /** A JSON object. */
  readonly configuration?: unknown
  /** Bytes. */
  readonly quota?: number | null | undefined
  readonly storageCredentialsKey?: string | null | undefined
}

export interface RepositoryPlan {
  readonly type: string
  readonly category: RepositoryCategory
  readonly configuration: ConfigurationPlan
  /** Bytes; null: no limit. */
  readonly quota: number | null
}

/** @throws AppError PARAMETER_INVALID. */
export function checkedQuota(quota: number | null | undefined): number | null {
  if (quota === null || quota === undefined) return null
  if (!Number.isSafeInteger(quota) || quota < 0) throw invalid('quota', 'it must be a whole number of bytes, 0 or more')
  return quota
}

/**
 * What a request for a repository means.
 * @throws AppError PARAMETER_INVALID, REQUEST_CONTENT_INVALID for a value the contract does not know, OPTION_NOT_BUILT for one
 * that it knows and a later release builds.
 */
export function planRepository(
  wanted: RepositoryRequest,
  builtTypes: readonly string[],
  rules: OutgoingRules,
): RepositoryPlan {
  if (wanted.name === '') throw empty('name')
  if (!isRepositoryName(wanted.name)) throw invalid('name', 'it must match ^[a-zA-Z_][a-zA-Z0-9.\\-_]{1,63}$')
  const type = chosen(wanted.type, TYPES)
  if (type === undefined) throw unreadable('type', `must be one of ${TYPES.join(', ')}`)
  if (!builtTypes.includes(type)) throw later('type', type, `built so far: ${builtTypes.join(', ')}`)
  const category = chosen(wanted.category ?? DEFAULT_CATEGORY, CATEGORIES)
  if (category === undefined) throw unreadable('category', `must be one of ${CATEGORIES.join(', ')}`)
  if (category === 'PROXY') throw later('category', category, 'built so far: LOCAL, COMPOSITE, REMOTE, VIRTUAL')
  if (wanted.storageCredentialsKey) throw later('storageCredentialsKey', wanted.storageCredentialsKey, 'leave it out')
  const scope = { project: wanted.project, category, repositoryType: type, rules, before: undefined }
  const quota = checkedQuota(wanted.quota)
  return { type, category, quota, configuration: planConfiguration(wanted.configuration, scope) }
}

const later = (option: string, value: string, instead: string): AppError =>
  notBuilt(`${option} [${value}]`, `comes with a later release; ${instead}`)
