/** Roles, permissions (core.md 4). */
export type AccessTables = object
