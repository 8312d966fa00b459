/** What the scrub and the collection found (core.md 13). */
export type ScrubTables = object
