/** What REMOTE, VIRTUAL and proxying COMPOSITE repositories remember (core.md 6). */
export type ProxyTables = object
