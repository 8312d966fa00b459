import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Arrival, StoredContent } from '../../artifacts/proxies/arrival.ts'
import type { Action } from '../../auth/grants.ts'
import type { ContentName } from '../../core/content-name.ts'
import type { Digest } from '../../core/digest.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { FileReply, ProtocolReply } from '../protocol.ts'
import type { ImageName } from './coordinates.ts'

/** One of the specification's endpoints. HEAD is GET, whose body the edge leaves out. */
export type OperationName =
  | 'getManifest'
  | 'putManifest'
  | 'deleteManifest'
  | 'getBlob'
  | 'deleteBlob'
  | 'startUpload'
  | 'uploadStatus'
  | 'appendUpload'
  | 'finishUpload'
  | 'cancelUpload'
  | 'listTags'
  | 'listReferrers'

/** `http/images` parses the URL, checks access and calls one of these. */
export type Operation = (request: ImageRequest) => Promise<ImageReply>
export type Operations = Readonly<Record<OperationName, Operation>>

export interface ImageRequest {
  readonly method: string
  /** DOCKER or OCI. */
  readonly repository: Repository
  readonly image: ImageName
  /** What the URL names below the image: tag, digest or id of an upload, percent-decoded and else as it came; empty when there is none. */
  readonly reference: string
  readonly userId: string
  /** A parameter that comes several times has its last value. */
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  /** The body as it arrives; once, when the request is known to be welcome. */
  openBody(): Readable
  /** Whether the caller may do that in another image, e.g. DOWNLOAD from the source of a mount. */
  authorise(action: Action, image: ImagePlace): Promise<boolean>
  /** Images that have the blob and that the caller may pull, as `{project}/{repo}/{image}`: for a mount that names no source. */
  sourcesOf(name: ContentName): Promise<string[]>
  /** Whether the caller may read a member of a VIRTUAL repository: a token need not name it. */
  mayRead(member: ImagePlace): Promise<boolean>
  /** `/v2/{project}/{repo}/{image}`, percent-encoded: what `Location` and `Link` begin with. */
  readonly base: string
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
}

export interface ImagePlace {
  readonly projectId: string
  readonly repoName: string
  readonly image: ImageName
}

export type ImageReply = ProtocolReply | ImageFileReply | BlobReply | ArrivingReply | PassingReply
/** A node: a manifest, or a blob that a manifest names. The headers win over those that the file would have. */
export interface ImageFileReply extends FileReply {
  readonly headers?: Readonly<Record<string, string>>
}
/** A content that is no node. Ranges and conditions as for a file. */
export interface BlobReply {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly headers?: Readonly<Record<string, string>>
}
/** A content on its way here. */
export interface ArrivingReply {
  readonly arrival: Arrival<StoredContent>
  readonly headers?: Readonly<Record<string, string>>
}
/** A content on its way through: it is not kept, and breaks when it is not what was asked for. */
export interface PassingReply {
  readonly passing: Readable
  /** Undefined: whoever sends it does not say. */
  readonly sizeBytes: number | undefined
  readonly headers?: Readonly<Record<string, string>>
}
