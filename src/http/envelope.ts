import { type TSchema, Type } from 'typebox'
import type { AppError, ErrorCode } from '../core/errors.ts'

/** The body of every answer of the management API (core.md 1): all four keys are always there. */
export interface Envelope<T = unknown> {
  /** 0: success; otherwise 25MMNN, module and number. */
  readonly code: number
  /** Null on success. */
  readonly message: string | null
  readonly data: T
  readonly traceId: string | null
}

/** What a handler returns. The trace id is filled in on the way out. */
export function ok<T>(data: T): Envelope<T extends undefined ? null : T> {
  return { code: 0, message: null, data: (data ?? null) as T extends undefined ? null : T, traceId: null }
}
export const failure = (code: number, message: string, traceId: string): Envelope<null> => ({
  code,
  message,
  data: null,
  traceId,
})

/** For `schema.response` of a route whose data has this shape. Documentation only: answers are not filtered by it. */
export function answers<T extends TSchema>(data: T) {
  const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
  return {
    200: Type.Unsafe<Envelope>(
      Type.Object({
        code: Type.Integer({ description: '0: success' }),
        message: nullable(Type.String()),
        data,
        traceId: nullable(Type.String()),
      }),
    ),
  }
}

/** Number on the wire and HTTP status of every error code: core.md 2, replication.md 0.6. */
export const WIRE = {
  SYSTEM_ERROR: [250102, 500],
  STORAGE_UNAVAILABLE: [250102, 503],
  PARAMETER_MISSING: [250103, 400],
  PARAMETER_EMPTY: [250104, 400],
  PARAMETER_INVALID: [250105, 400],
  REQUEST_CONTENT_INVALID: [250106, 400],
  RESOURCE_EXISTED: [250107, 400],
  RESOURCE_NOT_FOUND: [250108, 404],
  METHOD_NOT_ALLOWED: [250112, 405],
  OPTION_NOT_BUILT: [250112, 400],
  TASK_TYPE_UNSUITED: [250112, 400],
  PERMISSION_DENIED: [250113, 403],
  DELETION_REFUSED: [250113, 400],
  UNAUTHENTICATED: [250114, 401],
  UPSTREAM_FAILED: [250116, 502], // core.md 2.1 has 500 for internal calls; 502 says that the fault lies behind this server
  MEDIA_TYPE_UNSUPPORTED: [250119, 415],
  HEADER_MISSING: [250118, 400],
  RANGE_INVALID: [250120, 416],
  PASSWORD_CHANGE_FAILED: [250121, 400],
  MEDIA_TYPE_NOT_ACCEPTABLE: [250123, 406],
  TOO_MANY_REQUESTS: [250124, 429],
  QUERY_TOO_LARGE: [250127, 400],
  LOCK_NOT_ACQUIRED: [250128, 400],
  URL_NOT_FOUND: [250130, 404],
  PARAMETER_VALIDATION_FAILED: [250131, 400],
  PRECONDITION_FAILED: [250133, 412],
  USER_EXISTED: [250201, 400],
  USER_NOT_FOUND: [250202, 400],
  ROLE_NOT_FOUND: [250205, 400],
  ROLE_EXISTED: [250206, 400],
  PERMISSION_EXISTED: [250207, 400],
  PERMISSION_NOT_FOUND: [250208, 400],
  PERMISSION_CHECK_FAILED: [250209, 400],
  ACCOUNT_EXISTED: [250212, 400],
  ACCOUNT_NOT_FOUND: [250213, 400],
  ACCESS_KEY_WRONG: [250214, 400],
  ACCOUNT_PERMISSION_DENIED: [250237, 403],
  ACCESS_PROJECT_NOT_FOUND: [250217, 400],
  ACCESS_REPOSITORY_NOT_FOUND: [250221, 400],
  ROLE_IN_USE: [250222, 400],
  TOKEN_EXISTED: [250219, 400],
  TOKEN_EXPIRY_INVALID: [250223, 400],
  CLUSTER_CONNECT_ERROR: [250301, 400],
  CLUSTER_SSL_ERROR: [250302, 400],
  TASK_STATUS_INVALID: [250303, 400],
  TASK_DISABLED: [250304, 400],
  CLUSTER_EXISTED: [250305, 400],
  CLUSTER_NOT_FOUND: [250306, 400],
  TASK_UPDATE_DISABLED: [250308, 400],
  CLUSTER_CENTER_EXISTED: [250309, 400],
  TASK_NOT_FOUND: [250310, 400],
  ARTIFACT_BROKEN: [250311, 400],
  TASK_FAILED: [250314, 400],
  CLUSTER_VERSION_UNSUPPORTED: [250316, 400],
  FAILURE_NOT_FOUND: [250325, 400],
  FENCED: [250350, 409], // our own: a stale owner's write; replication.md stops at 250325
  RECEIVE_FAILED: [251001, 400],
  DIGEST_MISMATCH: [251003, 400],
  PROJECT_NOT_FOUND: [251004, 404],
  PROJECT_EXISTED: [251005, 400],
  REPOSITORY_NOT_FOUND: [251006, 404],
  REPOSITORY_EXISTED: [251007, 400],
  REPOSITORY_NOT_EMPTY: [251008, 400],
  FOLDER_NOT_EMPTY: [251009, 400],
  NODE_NOT_FOUND: [251010, 404],
  PATH_INVALID: [251011, 400],
  NODE_EXISTED: [251012, 400],
  NODE_CONFLICT: [251013, 400],
  PACKAGE_NOT_FOUND: [251017, 404],
  VERSION_NOT_FOUND: [251019, 404],
  VERSION_EXISTED: [251020, 409],
  BLOB_UNKNOWN: [251024, 404],
  CONTENT_MISSING: [251024, 404],
  TEMPORARY_TOKEN_INVALID: [251021, 400],
  TEMPORARY_TOKEN_EXPIRED: [251022, 400],
  QUOTA_EXCEEDED: [251025, 400],
  ARTIFACT_FORBIDDEN: [251029, 403],
  METADATA_INVALID: [251035, 400],
  UPLOAD_UNKNOWN: [251201, 400],
  FOLDER_DOWNLOAD_DISABLED: [251205, 400],
  UPLOAD_INCONSISTENT: [251204, 400],
  UPLOAD_INCOMPLETE: [251212, 400],
  UPLOAD_ID_EMPTY: [251213, 400],
  UPLOAD_HEADER_MISSING: [251214, 400],
  UPLOAD_WITHOUT_BLOCKS: [251215, 400],
  DATABASE_TOO_NEW: [250102, 500], // stops the start: no request ever sees these two
  DATA_DIRECTORY_IN_USE: [250102, 500],
} as const satisfies Record<ErrorCode, readonly [code: number, httpStatus: number]>

/** The statuses that differ by part of the API (core.md 2.1 and 2.3). `path` starts with the service. */
export function httpStatusOf({ code }: AppError, path: string): number {
  const replication = path.startsWith('/replication/')
  if (code === 'RESOURCE_NOT_FOUND' && replication) return 400
  if (code === 'REPOSITORY_EXISTED' && (replication || path.startsWith('/sync/'))) return 409
  return WIRE[code][1]
}
