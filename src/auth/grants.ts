import type { PathScope } from '../core/path-scope.ts'

/** core.md 4. */
export const ACTIONS = ['MANAGE', 'WRITE', 'READ', 'DOWNLOAD', 'VIEW', 'UPDATE', 'DELETE'] as const
export type Action = (typeof ACTIONS)[number]

/** What else an action allows (core.md 4). WRITE is not READ: a drop box is written to by those who may not look into it. */
const IMPLIED: Readonly<Record<Action, readonly Action[]>> = {
  MANAGE: ACTIONS,
  WRITE: ['WRITE', 'UPDATE'],
  READ: ['READ', 'VIEW', 'DOWNLOAD'],
  DOWNLOAD: ['DOWNLOAD'],
  VIEW: ['VIEW'],
  UPDATE: ['UPDATE'],
  DELETE: ['DELETE'],
}

/** The actions themselves and all that they imply. */
export const allowedBy = (actions: readonly Action[]): ReadonlySet<Action> =>
  new Set(actions.flatMap((action) => IMPLIED[action]))

/** One permission, or one role that administers, as it counts for one repository. */
export interface RepositoryGrant extends PathScope {
  /** With all that they imply. */
  readonly actions: ReadonlySet<Action>
}

/** All that roles and permissions give one user, their groups' included. */
export interface Grants {
  /** Of SYSTEM permissions. */
  readonly system: ReadonlySet<Action>
  /** Of REPLICATION permissions. */
  readonly replication: ReadonlySet<Action>
  /** Projects that a role with `admin` makes the user an administrator of. */
  readonly administers: ReadonlySet<string>
  /** Of PROJECT permissions, by project. */
  readonly projects: ReadonlyMap<string, ReadonlySet<Action>>
  /** Of REPO and NODE permissions and of REPO roles with `admin`, by id of the repository. */
  readonly repositories: ReadonlyMap<number, readonly RepositoryGrant[]>
  /** Names of all projects that anything above is about. */
  readonly visibleProjects: ReadonlySet<string>
}

export const NO_GRANTS: Grants = {
  system: new Set(),
  replication: new Set(),
  administers: new Set(),
  projects: new Map(),
  repositories: new Map(),
  visibleProjects: new Set(),
}
