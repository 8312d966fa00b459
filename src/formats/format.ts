import type { PackageRules } from '../artifacts/packages/package-rules.ts'
import type { RepositoryType } from '../core/repository-type.ts'
import type { ForeignDeps, ForeignRegistries } from './foreign.ts'
import type { Protocol } from './protocol.ts'

/**
 * All that the rest of the server may know about a package type: nobody asks for its name to decide something. What makes up a
 * version is no question to the format: its files, leaves first, are rows (`Packages.filesOf`), whoever wrote them.
 */
export interface Format {
  /** The contract's `repoType`, e.g. `NPM`. */
  readonly type: RepositoryType
  /** Undefined: files, no packages. */
  readonly packages?: PackageRules
  /** What its clients speak, below `/<type in lower case>/{projectId}/{repoName}`; undefined: the generic protocol is all. */
  readonly protocol?: Protocol
  /** Path of the URL at which its clients read the main file of a version. */
  readonly versionPath?: (
    repository: { readonly project: string; readonly name: string },
    key: string,
    version: string,
  ) => string
  /** How its versions go to registries of others; undefined: to clusters of our kind only. */
  readonly foreign?: (deps: ForeignDeps) => ForeignRegistries
}
