import { type AppError, invalid, missing, notBuilt } from '../../core/errors.ts'
import { fieldsOf, type RequestFields, unreadable } from '../../core/request-fields.ts'
import type { RepositoryCategory } from '../../metadata/repositories/repositories.ts'
import type { OutgoingRules } from '../../remotes/outgoing-url.ts'
import { type ProxyChannel, planChannels } from '../proxies/composite-configuration.ts'
import { planRemote, type RemoteConfiguration } from '../proxies/remote-configuration.ts'
import type { PasswordPlan } from '../proxies/upstream-fields.ts'
import { planMembers, type VirtualMember } from '../views/virtual-configuration.ts'
import { planCleanup } from './cleanup-strategy.ts'

/** A configuration as the contract has it: `{type, settings, …}`, passwords masked. */
export type Configuration = Readonly<Record<string, unknown>>

export interface ConfigurationPlan {
  /** As it is kept and shown. */
  readonly kept: Configuration
  /** All that the repository has from now on. */
  readonly passwords: readonly PasswordPlan[]
  /** Of a VIRTUAL repository. */
  readonly members: readonly VirtualMember[]
}

export interface ConfigurationScope {
  readonly project: string
  readonly category: RepositoryCategory
  /** E.g. `GENERIC`. */
  readonly repositoryType: string
  /** Of proxies (architecture.md §8). */
  readonly rules: OutgoingRules
  /** What it was before; undefined: the repository is new. */
  readonly before: Configuration | undefined
}

const TYPES = ['local', 'remote', 'virtual', 'composite', 'proxy']
const PREFIX = 'configuration.'

/**
 * What a request for a configuration means. Settings that would do nothing yet are refused; what only describes is kept as it came.
 * What says where content comes from (`url`, `credentials`, `network`, `cache`, `proxy`, `repositoryList`) stays when left out.
 * @throws AppError PARAMETER_*, REQUEST_CONTENT_INVALID, OPTION_NOT_BUILT; all name the field.
 */
export function planConfiguration(given: unknown, scope: ConfigurationScope): ConfigurationPlan {
  const { category, before } = scope
  const type = category.toLowerCase()
  const fields = fieldsOf(given ?? before ?? {}, 'configuration')
  const said = fields.text('type')?.toLowerCase()
  if (said !== undefined && said !== type && !(isOwnFiles(said) && isOwnFiles(type))) {
    if (TYPES.includes(said)) throw invalid(`${PREFIX}type`, `the category is ${category}, which does not change`)
    throw unreadable(`${PREFIX}type`, `must be ${type}`)
  }
  checkSettings(fields.object('settings'), scope.repositoryType)
  const base = { settings: {}, ...(given ?? before ?? {}), type }
  const { own, passwords = [], members = [] } = planOwn(fields, scope)
  return { kept: { ...base, ...own }, passwords, members }
}

/** An older API calls both the same. */
const isOwnFiles = (type: string): boolean => type === 'local' || type === 'composite'

interface OwnFields {
  readonly own: Configuration
  readonly passwords?: readonly PasswordPlan[]
  readonly members?: readonly VirtualMember[]
}

/** What only this category has. */
function planOwn(fields: RequestFields, { project, category, rules, before }: ConfigurationScope): OwnFields {
  if (category === 'REMOTE') {
    const old = before === undefined ? undefined : remoteConfiguration(before)
    const { kept, passwords } = planRemote(fields, { prefix: PREFIX, rules }, old)
    return { own: { ...kept }, passwords }
  }
  if (category === 'VIRTUAL') {
    const list = fields.list('repositoryList')
    if (list === undefined && before === undefined) throw missing(`${PREFIX}repositoryList`)
    const members = planMembers(list ?? virtualMembers(before ?? {}), project, PREFIX)
    return { own: { repositoryList: members }, members }
  }
  const channels = fields.object('proxy')?.list('channelList')
  if (category === 'LOCAL') {
    if ((channels ?? []).length > 0)
      throw invalid(`${PREFIX}proxy.channelList`, 'only a COMPOSITE repository has channels')
    return { own: {} }
  }
  const old = proxyChannels(before ?? {})
  const plan = planChannels(channels ?? old, { prefix: PREFIX, rules }, old)
  const proxy = plan.kept.length === 0 && channels === undefined ? {} : { proxy: { channelList: plan.kept } }
  return { own: proxy, passwords: plan.passwords }
}

function checkSettings(settings: RequestFields | undefined, type: string): void {
  planCleanup(settings, type)
  if ((settings?.list('interceptors') ?? []).length > 0)
    throw later('settings.interceptors', 'a rule', 'leave it empty')
}

/** Of a REMOTE repository, from what is kept. */
export const remoteConfiguration = (kept: Configuration): RemoteConfiguration => kept as unknown as RemoteConfiguration

/** Of a COMPOSITE repository, from what is kept; most have none. */
export function proxyChannels(kept: Configuration): readonly ProxyChannel[] {
  return (kept.proxy as { channelList?: ProxyChannel[] } | undefined)?.channelList ?? []
}

/** Of a VIRTUAL repository, from what is kept. */
export function virtualMembers(kept: Configuration): readonly VirtualMember[] {
  return (kept.repositoryList as VirtualMember[] | undefined) ?? []
}

const later = (option: string, value: string, instead: string): AppError =>
  notBuilt(`${option} [${value}]`, `comes with a later release; ${instead}`)
