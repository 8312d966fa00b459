/** Platform accounts and their keys, the audit log (core.md 3). */
export type IdentityTables = object
