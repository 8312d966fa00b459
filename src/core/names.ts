/** Names of projects and repositories as they stand in URLs (core.md 5 and 6). */
const PROJECT_NAME = /^[a-zA-Z_][a-zA-Z0-9\-_]{1,99}$/
const REPOSITORY_NAME = /^[a-zA-Z_][a-zA-Z0-9.\-_]{1,63}$/

/** What stands in the place of a project in URLs of the generic protocol (core.md 11.4 to 11.6) and of distributions (contract 001). */
const RESERVED: ReadonlySet<string> = new Set([
  ...['batch', 'block', 'delta', 'ext', 'package', 'separate', 'temporary'],
  'runOnceTask',
])
export const isReservedProjectName = (text: string): boolean => RESERVED.has(text)

/** 2 to 100 characters: letters, digits, `-`, `_`; a letter or `_` first. */
export const isProjectName = (text: string): boolean => PROJECT_NAME.test(text)

/** 2 to 64 characters: letters, digits, `.`, `-`, `_`; a letter or `_` first. */
export const isRepositoryName = (text: string): boolean => REPOSITORY_NAME.test(text)
