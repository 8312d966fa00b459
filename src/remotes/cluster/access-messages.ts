/**
 * `PUT /permissions`: users, roles and permissions as the source has them, in the target's names of projects and repositories.
 * Holds hashes of passwords and never a password; neither side logs it.
 */
export interface AccessRequest {
  readonly sourceId: string
  readonly copiedUsers: readonly CopiedUser[]
  readonly copiedProjects: readonly CopiedProject[]
}
export interface CopiedUser {
  readonly userId: string
  readonly name: string
  /** argon2id, PHC string. */
  readonly passwordHash: string
  /** Null: not told; as it is over there, and none for a new user. */
  readonly admin: boolean | null
  readonly locked: boolean
  readonly email: string | null
  readonly phone: string | null
  readonly group: boolean
  /** Of a group. */
  readonly members: readonly string[]
}
export interface CopiedProject {
  /** Where it comes from: of two sources of one project here, none takes back what the other gave. */
  readonly from: string
  /** Empty: what is about the whole server. */
  readonly project: string
  /** All that this message knows of: what it does not name in them is taken back. */
  readonly repos: readonly string[]
  readonly roles: readonly CopiedRole[]
  readonly permissions: readonly CopiedPermission[]
}
export interface CopiedRole {
  /** Null: of the whole project. */
  readonly repo: string | null
  readonly roleId: string
  readonly name: string
  readonly admin: boolean
  readonly description: string | null
  readonly users: readonly string[]
}
export interface CopiedPermission {
  /** The repository that it came with; null: somebody made it. */
  readonly home: string | null
  readonly name: string
  readonly resourceType: 'SYSTEM' | 'PROJECT' | 'REPO' | 'NODE' | 'REPLICATION'
  readonly repos: readonly string[]
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly actions: readonly string[]
  readonly users: readonly string[]
  readonly roles: readonly { readonly repo: string | null; readonly roleId: string }[]
}

/** What became of them. `kept`: somebody here made or changed it, and it stays as it is. */
export interface AccessCounts {
  readonly created: number
  readonly updated: number
  readonly deleted: number
  readonly unchanged: number
  readonly kept: number
}
export interface AccessAnswer {
  readonly users: AccessCounts
  readonly roles: AccessCounts
  readonly permissions: AccessCounts
}

/** Of one message. */
export const MAX_COPIED_USERS = 500
export const MAX_COPIED = 20_000
