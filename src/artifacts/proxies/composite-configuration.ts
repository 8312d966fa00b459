import { empty, invalid, missing } from '../../core/errors.ts'
import { fieldsOf, type RequestFields, unreadable } from '../../core/request-fields.ts'
import {
  type FieldScope,
  type Login,
  NO_LOGIN,
  type PasswordPlan,
  plannedLogin,
  plannedUrl,
  refuseCredentialKey,
  refuseKept,
} from './upstream-fields.ts'

/** One upstream of a COMPOSITE repository, as it is kept and shown: its password is masked. */
export interface ProxyChannel extends Login {
  /** It asks for no login. */
  readonly public: boolean
  /** Unique in its repository. */
  readonly name: string
  /** Without a slash at its end. */
  readonly url: string
  readonly credentialKey: null
}

const MAX_CHANNELS = 50
const MAX_NAME_LENGTH = 100

export const channelSlot = (name: string): string => `channel/${name}`

/** All channels anew: one that is not in the list is gone. @throws AppError naming the field. */
export function planChannels(
  given: readonly unknown[],
  { prefix: above, rules }: FieldScope,
  before: readonly ProxyChannel[],
): { readonly kept: ProxyChannel[]; readonly passwords: PasswordPlan[] } {
  const list = `${above}proxy.channelList`
  if (given.length > MAX_CHANNELS) throw invalid(list, `more than ${MAX_CHANNELS} channels`)
  const passwords: PasswordPlan[] = []
  const names = new Set<string>()
  const kept = given.map((item, index): ProxyChannel => {
    const prefix = `${list}[${index}].`
    const fields = fieldsOf(item, `${list}[${index}]`)
    const name = channelName(fields, prefix)
    if (names.has(name)) throw invalid(`${prefix}name`, `another channel is called [${name}]`)
    names.add(name)
    const old = before.find((channel) => channel.name === name)
    const url = plannedUrl(fields, { prefix, rules }, undefined)
    refuseCredentialKey(fields, prefix)
    const isPublic = fields.raw('public') ?? old?.public ?? false
    if (typeof isPublic !== 'boolean') throw unreadable(`${prefix}public`, 'must be true or false')
    const { login, password } = plannedLogin(fields, channelSlot(name), prefix, old ?? NO_LOGIN)
    if (isPublic && login.username !== null) throw invalid(`${prefix}username`, 'a public channel asks for no login')
    if (old !== undefined && new URL(old.url).origin !== new URL(url).origin) refuseKept(password)
    if (password !== undefined) passwords.push(password)
    return { public: isPublic, name, url, credentialKey: null, ...login }
  })
  return { kept, passwords }
}

function channelName(fields: RequestFields, prefix: string): string {
  const name = fields.text('name')
  if (name === undefined) throw missing(`${prefix}name`)
  if (name.trim() === '') throw empty(`${prefix}name`)
  if (name.length > MAX_NAME_LENGTH) throw invalid(`${prefix}name`, `it has more than ${MAX_NAME_LENGTH} characters`)
  return name.trim()
}
