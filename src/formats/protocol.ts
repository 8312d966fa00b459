import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { PackageDeletion } from '../artifacts/packages/package-deletion.ts'
import type { Packages } from '../artifacts/packages/packages.ts'
import type { Publishing } from '../artifacts/packages/publishing.ts'
import type { Action } from '../auth/grants.ts'
import type { AppError } from '../core/errors.ts'
import type { NodePath } from '../core/paths.ts'
import type { NodeRecord } from '../metadata/nodes/nodes.ts'
import type { Repository } from '../metadata/repositories/repositories.ts'
import type { BlobStore } from '../storage/blob-store.ts'

/** The use cases that a protocol is made of. */
export interface ProtocolServices {
  readonly packages: Packages
  readonly publishing: Publishing
  readonly deletion: PackageDeletion
  readonly blobs: Pick<BlobStore, 'receive'>
}

/**
 * A protocol in terms that no HTTP framework has a part in (they stand here instead of in `core/`, because they name use cases): a
 * format states its routes, `http/packages/format-routes.ts` mounts them in a scope of their own.
 */
export interface Protocol {
  routes(services: ProtocolServices): readonly ProtocolRoute[]
  /** An expected failure as this protocol's clients read it; undefined: as the management API has it. */
  readonly errorBody?: (error: AppError, status: number) => ProtocolReply
}

export interface ProtocolRoute {
  /** GET answers HEAD as well. */
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  /** Below the repository, e.g. `/:name/:version` or `/-/*`. */
  readonly path: string
  readonly summary: string
  /** In the repository, at the path that is the rest of the URL (`/*`; none: all of it). */
  readonly access: Action
  handle(request: ProtocolRequest): Promise<ProtocolReply | FileReply>
}

export interface ProtocolRequest {
  /** Of the format's type. */
  readonly repository: Repository
  readonly userId: string
  /** Percent-decoded; the rest of the URL is `*`. */
  readonly params: Readonly<Record<string, string>>
  /** A parameter that comes several times has its last value. */
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  /** The body as it arrives; once, when the request is known to be welcome. */
  openBody(): Readable
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** For a node that the URL does not name. @throws AppError PERMISSION_DENIED, UNAUTHENTICATED. */
  authorise(action: Action, path: NodePath): Promise<void>
}

export interface ProtocolReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** An object goes out as JSON. */
  readonly body?: string | Buffer | object
}
/** A stored file, with ranges, conditions and digests as HTTP has them. */
export interface FileReply {
  readonly file: NodeRecord
  /** Of the version whose download this is. */
  readonly countsFor?: number
}
