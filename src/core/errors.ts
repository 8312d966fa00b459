/**
 * Every expected failure of the system. The code travels inside; each edge has one table that turns it into a status and a body
 * (`http/envelope.ts` for the contract). Callers test `code`, never text.
 */
export type ErrorCode =
  | 'SYSTEM_ERROR'
  | 'STORAGE_UNAVAILABLE'
  | 'PARAMETER_MISSING'
  | 'PARAMETER_EMPTY'
  | 'PARAMETER_INVALID'
  | 'REQUEST_CONTENT_INVALID'
  | 'RESOURCE_EXISTED'
  | 'RESOURCE_NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'OPTION_NOT_BUILT'
  | 'TASK_TYPE_UNSUITED'
  | 'DELETION_REFUSED'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'MEDIA_TYPE_UNSUPPORTED'
  | 'HEADER_MISSING'
  | 'RANGE_INVALID'
  | 'PASSWORD_CHANGE_FAILED'
  | 'MEDIA_TYPE_NOT_ACCEPTABLE'
  | 'TOO_MANY_REQUESTS'
  | 'URL_NOT_FOUND'
  | 'QUERY_TOO_LARGE'
  | 'LOCK_NOT_ACQUIRED'
  | 'PARAMETER_VALIDATION_FAILED'
  | 'PRECONDITION_FAILED'
  | 'USER_EXISTED'
  | 'USER_NOT_FOUND'
  | 'ROLE_NOT_FOUND'
  | 'ROLE_EXISTED'
  | 'ROLE_IN_USE'
  | 'PERMISSION_EXISTED'
  | 'PERMISSION_NOT_FOUND'
  | 'PERMISSION_CHECK_FAILED'
  | 'ACCESS_PROJECT_NOT_FOUND'
  | 'ACCESS_REPOSITORY_NOT_FOUND'
  | 'ACCOUNT_EXISTED'
  | 'ACCOUNT_NOT_FOUND'
  | 'ACCOUNT_PERMISSION_DENIED'
  | 'ACCESS_KEY_WRONG'
  | 'TOKEN_EXISTED'
  | 'TOKEN_EXPIRY_INVALID'
  | 'CLUSTER_CONNECT_ERROR'
  | 'CLUSTER_SSL_ERROR'
  | 'TASK_STATUS_INVALID'
  | 'TASK_DISABLED'
  | 'TASK_UPDATE_DISABLED'
  | 'CLUSTER_EXISTED'
  | 'CLUSTER_NOT_FOUND'
  | 'CLUSTER_CENTER_EXISTED'
  | 'TASK_NOT_FOUND'
  | 'FAILURE_NOT_FOUND'
  | 'ARTIFACT_BROKEN'
  | 'TASK_FAILED'
  | 'CLUSTER_VERSION_UNSUPPORTED'
  | 'FENCED'
  | 'BLOB_UNKNOWN'
  | 'UPLOAD_UNKNOWN'
  | 'UPLOAD_INCOMPLETE'
  | 'UPLOAD_INCONSISTENT'
  | 'UPLOAD_ID_EMPTY'
  | 'UPLOAD_HEADER_MISSING'
  | 'UPLOAD_WITHOUT_BLOCKS'
  | 'TEMPORARY_TOKEN_INVALID'
  | 'TEMPORARY_TOKEN_EXPIRED'
  | 'RECEIVE_FAILED'
  | 'UPSTREAM_FAILED'
  | 'DIGEST_MISMATCH'
  | 'PROJECT_NOT_FOUND'
  | 'PROJECT_EXISTED'
  | 'REPOSITORY_NOT_FOUND'
  | 'REPOSITORY_EXISTED'
  | 'REPOSITORY_NOT_EMPTY'
  | 'FOLDER_NOT_EMPTY'
  | 'NODE_NOT_FOUND'
  | 'PATH_INVALID'
  | 'NODE_EXISTED'
  | 'NODE_CONFLICT'
  | 'CONTENT_MISSING'
  | 'PACKAGE_NOT_FOUND'
  | 'VERSION_NOT_FOUND'
  | 'VERSION_EXISTED'
  | 'QUOTA_EXCEEDED'
  | 'ARTIFACT_FORBIDDEN'
  | 'METADATA_INVALID'
  | 'FOLDER_DOWNLOAD_DISABLED'
  | 'DATA_DIRECTORY_IN_USE'
  | 'DATABASE_TOO_NEW'

export interface ErrorExtra {
  readonly cause?: unknown
  /** Set by whoever knows that the same call may succeed later (network, 429, 5xx); wrappers only ask. */
  readonly retryable?: boolean
}

/** An expected failure. `message` says what happened, to what, and what to do; it never holds a secret. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly detail: Readonly<Record<string, unknown>>
  readonly retryable: boolean
  constructor(code: ErrorCode, message: string, detail: Record<string, unknown> = {}, extra: ErrorExtra = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause })
    this.name = 'AppError'
    this.code = code
    this.detail = detail
    this.retryable = extra.retryable ?? false
  }
}

export function hasCode(error: unknown, ...codes: ErrorCode[]): error is AppError {
  return error instanceof AppError && codes.includes(error.code)
}

export function isRetryable(error: unknown): boolean {
  return error instanceof AppError && error.retryable
}

/** First line of any error, for logs and `errorReason` columns. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The four refusals of a request field; the wording is the contract's (replication.md 0.6). */
export const missing = (name: string): AppError =>
  new AppError('PARAMETER_MISSING', `Parameter [${name}] is missing`, { name })
export const empty = (name: string): AppError =>
  new AppError('PARAMETER_EMPTY', `Parameter [${name}] should not be empty`, { name })
export const invalid = (name: string, why?: string): AppError =>
  new AppError('PARAMETER_INVALID', `Parameter [${name}] is invalid${why === undefined ? '' : `: ${why}`}`, { name })
/** An option of the contract that a later release builds: refused by name, never accepted and then ignored. */
export const notBuilt = (option: string, why: string): AppError =>
  new AppError('OPTION_NOT_BUILT', `Method not allowed, reason: ${option} ${why}`, { option })
