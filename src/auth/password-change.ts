import { hash } from 'node:crypto'
import { hasCode } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import type { LoginThrottle } from './login-throttle.ts'
import type { Users } from './users.ts'

export interface PasswordChange {
  readonly userId: string
  readonly oldPassword: string
  readonly newPassword: string
  /** Of the connection. */
  readonly address: string
}

interface PasswordChangeDeps {
  readonly users: Pick<Users, 'changePassword'>
  readonly throttle: LoginThrottle
  readonly random: Random
}

/**
 * A wrong old password counts as a wrong login, or a stolen token would be a way to guess the password without limit.
 * @throws AppError TOO_MANY_REQUESTS, and what `Users.changePassword` throws.
 */
export function createPasswordChange({ users, throttle, random }: PasswordChangeDeps) {
  const processSecret = random.bytes(32).toString('hex')
  return async ({ userId, oldPassword, newPassword, address }: PasswordChange): Promise<void> => {
    const fingerprint = hash('sha256', `${processSecret}:${userId.length}:${userId}:${oldPassword}`, 'base64')
    const attempt = throttle.begin({ subject: userId, address, fingerprint })
    try {
      await users.changePassword(userId, oldPassword, newPassword)
      attempt.succeeded()
    } catch (error) {
      if (hasCode(error, 'PASSWORD_CHANGE_FAILED')) attempt.failed()
      else attempt.abandoned()
      throw error
    }
  }
}
