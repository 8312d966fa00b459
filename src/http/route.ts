import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { Action } from '../auth/grants.ts'
import type { Principal } from '../auth/principal.ts'
import type { Extent, PathScope } from '../core/path-scope.ts'
import type { NodePath } from '../core/paths.ts'

/** Fastify whose handlers get the types of their TypeBox schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** A group of routes, mounted in a scope of its own: its hooks and body parsers do not reach other groups. */
export type Routes = (app: App) => Promise<void>

/**
 * Who may call a route. Every route states it; the server does not start with one that does not.
 * CATALOG: any user, and tokens for what is public · PUBLIC: anybody · OPTIONAL_LOGIN: anybody, but credentials that come are checked · AUTHENTICATED: any user · ADMIN: administrators · REPLICATION_*: other clusters (administrators, so far) ·
 * `{ repo }`: whoever may do that in the repository named by the parameters `projectId` and `repoName` of the URL, to the path that
 * is the rest of the URL (`/*`; none: the whole repository) and, unless `extent` says otherwise, all below it ·
 * `{ project }`: whoever may do that in the project named by `projectId`.
 */
export type Access =
  | 'PUBLIC'
  | 'CATALOG'
  | 'OPTIONAL_LOGIN'
  | 'AUTHENTICATED'
  | 'ADMIN'
  | 'REPLICATION_READ'
  | 'REPLICATION_WRITE'
  | RepositoryAccess
  | { readonly project: Action }
export interface RepositoryAccess {
  readonly repo: Action
  readonly extent?: Extent
  /** The action where the rest of the URL, percent-decoded, makes it another one. */
  readonly insteadAt?: (rest: string) => Action | undefined
}

/** A repository that a request names elsewhere than in its URL, e.g. the target of a copy. */
export interface RepositoryName {
  readonly projectId: string
  readonly repoName: string
  /** Of the node that it is about, for permissions with path patterns; undefined: the repository as a whole. */
  readonly path?: NodePath | undefined
  /** Undefined: the tree at `path`. */
  readonly extent?: Extent | undefined
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Set by `keepBodiesRaw`. */
    rawBody?: true
  }
  interface FastifyRequest {
    /** The caller, as checked before the handler runs. */
    principal: Principal
    /** 32 hex digits: of the caller's `traceparent`, or new. Also in the answer, its header `X-Trace-Id` and the log. */
    readonly traceId: string
    /**
     * What of the tree at the URL's path the caller may do what `access` says to, for routes with the extent `part`; undefined:
     * all of it.
     */
    scopes: readonly PathScope[] | undefined
    /** @throws AppError UNAUTHENTICATED or PERMISSION_DENIED. For repositories that the URL does not name. */
    authorise(action: Action, repository: RepositoryName): Promise<void>
    /** @throws AppError as above. For projects that the URL does not name. */
    authoriseProject(action: Action, projectId: string): Promise<void>
  }
}
