import { empty, invalid, missing, notBuilt } from '../../core/errors.ts'
import { type RequestFields, unreadable } from '../../core/request-fields.ts'
import { checkOutgoingUrl, type OutgoingRules } from '../../remotes/outgoing-url.ts'

/** What stands in place of a password wherever a configuration is kept or shown. */
export const MASK = '******'

/** What a request says about one password. `kept`: the stored one, if it still goes to the same server. */
export interface PasswordPlan {
  readonly slot: string
  /** The field, as refusals name it. */
  readonly field: string
  readonly value: { readonly given: string } | 'kept'
}

/** A user name and a masked password, as a configuration keeps them. */
export interface Login {
  readonly username: string | null
  readonly password: string | null
}
export const NO_LOGIN: Login = { username: null, password: null }

/** Everything that a configuration says to somebody else's server goes through here, so that refusals look the same. */
export interface FieldScope {
  /** Of the fields, with a dot at its end: `configuration.network.`. */
  readonly prefix: string
  readonly rules: OutgoingRules
}

const MAX_URL_LENGTH = 2_048
const MAX_LOGIN_LENGTH = 1_024

/** Without slashes at its end. @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID. */
export function plannedUrl(fields: RequestFields, { prefix, rules }: FieldScope, before: string | undefined): string {
  const url = fields.text('url') ?? before
  if (url === undefined) throw missing(`${prefix}url`)
  if (url.trim() === '') throw empty(`${prefix}url`)
  if (url.length > MAX_URL_LENGTH) throw invalid(`${prefix}url`, `it has more than ${MAX_URL_LENGTH} characters`)
  const { origin, pathname } = checkOutgoingUrl(`${prefix}url`, url.trim(), rules)
  return `${origin}${pathname}`.replace(/\/+$/, '')
}

/**
 * A login of these fields. Without a user name there is none; a password that is left out, or comes as it was shown, stays.
 * @returns what is kept, and what becomes of the password (undefined: there is none).
 */
export function plannedLogin(
  fields: RequestFields,
  slot: string,
  prefix: string,
  before: Login,
): { readonly login: Login; readonly password: PasswordPlan | undefined } {
  const username = shortText(fields, 'username', prefix)
  const given = shortText(fields, 'password', prefix)
  if (username === undefined || username === '') {
    if (given !== undefined && given !== '' && given !== MASK) throw missing(`${prefix}username`)
    return { login: NO_LOGIN, password: undefined }
  }
  // It would end the name in the header of the login.
  if (username.includes(':')) throw invalid(`${prefix}username`, 'it holds a colon')
  const field = `${prefix}password`
  const keeps = given === undefined || given === MASK
  if (keeps && before.password === null) {
    if (given === MASK) throw invalid(field, 'there is no stored password to keep')
    return { login: { username, password: null }, password: undefined }
  }
  if (given === '') return { login: { username, password: null }, password: undefined }
  return {
    login: { username, password: MASK },
    password: { slot, field, value: keeps ? 'kept' : { given: given ?? '' } },
  }
}

/** Whoever may change an address would else get the stored password sent there. @throws AppError PARAMETER_INVALID. */
export function refuseKept(password: PasswordPlan | undefined): void {
  if (password?.value === 'kept')
    throw invalid(password.field, 'the address is another server now: give the password again')
}

function shortText(fields: RequestFields, name: string, prefix: string): string | undefined {
  const text = fields.text(name)
  if (text !== undefined && text.length > MAX_LOGIN_LENGTH)
    throw invalid(prefix + name, `it has more than ${MAX_LOGIN_LENGTH} characters`)
  return text
}

/** @throws AppError PARAMETER_INVALID, REQUEST_CONTENT_INVALID naming the field. */
export function plannedInteger(
  fields: RequestFields | undefined,
  name: string,
  prefix: string,
  { least, most, standard }: { readonly least: number; readonly most: number; readonly standard: number },
): number {
  const value = fields?.raw(name)
  if (value === undefined) return standard
  if (!Number.isSafeInteger(value)) throw unreadable(prefix + name, 'must be a whole number')
  if ((value as number) < least || (value as number) > most)
    throw invalid(prefix + name, `it must be between ${least} and ${most}`)
  return value as number
}

/** Credentials under a name are kept somewhere else, which is not built. */
export function refuseCredentialKey(fields: RequestFields, prefix: string): void {
  if (fields.text('credentialKey'))
    throw notBuilt(`${prefix}credentialKey`, 'comes with a later release; give username and password')
}
