import { empty, invalid } from '../core/errors.ts'
import { ANONYMOUS } from './principal.ts'

/** No colon, which ends the user in Basic credentials; nothing that needs care in a URL or a log. */
const USER_ID = /^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$/
/** Who does what no user asked for. */
export const SYSTEM_USER = 'system'
const RESERVED: ReadonlySet<string> = new Set([ANONYMOUS.userId, SYSTEM_USER])
const MIN_PASSWORD_LENGTH = 8
/** Hashing costs time with length; nobody types more. */
const MAX_PASSWORD_LENGTH = 1024
const MAX_NAME_LENGTH = 128
const MAX_CONTACT_LENGTH = 254

export const isUserId = (text: string): boolean => USER_ID.test(text) && !RESERVED.has(text)

/** @throws AppError PARAMETER_EMPTY, PARAMETER_INVALID naming the wire's field, as the others here. */
export function checkUserId(userId: string): void {
  if (userId === '') throw empty('userId')
  if (!isUserId(userId)) throw invalid('userId', '1 to 64 letters, digits and . _ @ -, not anonymous or system')
}
export function checkPassword(password: string, field = 'pwd'): void {
  if (password === '') throw empty(field)
  if (password.length < MIN_PASSWORD_LENGTH || password.length > MAX_PASSWORD_LENGTH) {
    throw invalid(field, `${MIN_PASSWORD_LENGTH} to ${MAX_PASSWORD_LENGTH} characters`)
  }
  if (password.includes('\u0000')) throw invalid(field, 'it holds a NUL character')
}
export function checkUserName(name: string): void {
  if (name.trim() === '') throw empty('name')
  if (name.length > MAX_NAME_LENGTH) throw invalid('name', `at most ${MAX_NAME_LENGTH} characters`)
}
export function checkContact(field: 'email' | 'phone', value: string): void {
  if (value.length > MAX_CONTACT_LENGTH) throw invalid(field, `at most ${MAX_CONTACT_LENGTH} characters`)
}
export function checkTokenName(name: string): void {
  if (name.trim() === '') throw empty('name')
  if (name.length > MAX_NAME_LENGTH || /[\u0000-\u001f]/.test(name)) {
    throw invalid('name', `at most ${MAX_NAME_LENGTH} characters, no control characters`)
  }
}
