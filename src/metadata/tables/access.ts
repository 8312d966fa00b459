/** Roles, permissions, groups (core.md 4). Lists of texts are JSON arrays. */
export interface AccessTables {
  role: RoleTable
  user_role: UserRoleTable
  permission: PermissionTable
  permission_repository: PermissionRepositoryTable
  permission_user: PermissionUserTable
  permission_role: PermissionRoleTable
  group_account: GroupAccountTable
  group_member: GroupMemberTable
  access_stamp: AccessStampTable
}

interface RoleTable {
  id: string
  /** Unique in its project and repository. */
  role_id: string
  type: 'PROJECT' | 'REPO'
  project: string
  /** `repository.id`, not its name: one made again under the name is another. 0 for a role of the whole project. */
  repo_id: number
  name: string
  admin: number
  description: string | null
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

/** `role` is `role.id`. */
interface UserRoleTable {
  role: string
  user_id: string
}

interface PermissionTable {
  id: string
  resource_type: 'SYSTEM' | 'PROJECT' | 'REPO' | 'NODE' | 'REPLICATION'
  /** Empty for SYSTEM and REPLICATION. */
  project: string
  /** The repository that it came with; 0 for those that somebody made. A name is unique among those of one home. */
  home_repo: number
  name: string
  include: string
  exclude: string
  actions: string
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

interface PermissionRepositoryTable {
  permission: string
  repo_id: number
}
interface PermissionUserTable {
  permission: string
  user_id: string
}
/** `role` is `role.id`. */
interface PermissionRoleTable {
  permission: string
  role: string
}

/** A user that is an account shared by others. */
interface GroupAccountTable {
  user_id: string
}
/** Who shares it: they may do what the group may. */
interface GroupMemberTable {
  group_id: string
  user_id: string
}

/** One row, id 1, once anything was granted: grows with every change of the tables above that changes what a user may do. */
interface AccessStampTable {
  id: number
  value: number
}
