/** Moves, copies and deletions of trees under way (core.md 7.3). */
export type TreeOperationTables = object
