/** Block uploads and temporary access (core.md 11.4 to 11.6). */
export type BlockUploadTables = object
