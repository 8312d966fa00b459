/** Who makes a request. */
export interface Principal {
  readonly userId: string
  /** May do everything. */
  readonly admin: boolean
}

/** Nobody in particular: a request without credentials. No user can have this id (`checkUserId`). */
export const ANONYMOUS: Principal = Object.freeze({ userId: 'anonymous', admin: false })

export const isAnonymous = (principal: Principal): boolean => principal.userId === ANONYMOUS.userId
