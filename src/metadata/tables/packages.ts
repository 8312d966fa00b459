/** Packages, versions and their files (core.md 10). */
export type PackageTables = object
