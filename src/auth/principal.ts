import type { Resource } from './access.ts'
import type { Action } from './grants.ts'

/** Who makes a request. */
export interface Principal {
  readonly userId: string
  /** May do everything. */
  readonly admin: boolean
  /** The platform account that makes the request for the user. */
  readonly appId?: string | undefined
  /** Why a named user may do nothing at all. Undefined: the account is there and open. */
  readonly standing?: 'locked' | 'missing' | undefined
  /**
   * What the credentials may be used for, whatever their user may do: the projects of a platform account, the repository and
   * actions of a bearer token. Undefined: for everything. Pure.
   */
  readonly covers?: ((action: Action, resource: Resource) => boolean) | undefined
}

/** Nobody in particular: a request without credentials. No user can have this id (`checkUserId`). */
export const ANONYMOUS: Principal = Object.freeze({ userId: 'anonymous', admin: false })

export const isAnonymous = (principal: Principal): boolean => principal.userId === ANONYMOUS.userId
