import { AppError, type ErrorCode } from '../../core/errors.ts'
import type { OperationName } from './operation.ts'

/** Source: OCI distribution specification 1.1, "Error Codes"; UNKNOWN is what docker says of all else. */
export type OciCode = keyof typeof KNOWN

/** What a code is inside, and its status when nothing else is said. */
const KNOWN = {
  BLOB_UNKNOWN: ['BLOB_UNKNOWN', 404],
  BLOB_UPLOAD_INVALID: ['UPLOAD_INCONSISTENT', 400],
  BLOB_UPLOAD_UNKNOWN: ['UPLOAD_UNKNOWN', 404],
  DIGEST_INVALID: ['DIGEST_MISMATCH', 400],
  MANIFEST_BLOB_UNKNOWN: ['BLOB_UNKNOWN', 404],
  MANIFEST_INVALID: ['REQUEST_CONTENT_INVALID', 400],
  MANIFEST_UNKNOWN: ['VERSION_NOT_FOUND', 404],
  NAME_INVALID: ['PATH_INVALID', 400],
  NAME_UNKNOWN: ['REPOSITORY_NOT_FOUND', 404],
  SIZE_INVALID: ['REQUEST_CONTENT_INVALID', 400],
  UNAUTHORIZED: ['UNAUTHENTICATED', 401],
  DENIED: ['PERMISSION_DENIED', 403],
  UNSUPPORTED: ['METHOD_NOT_ALLOWED', 405],
  TOOMANYREQUESTS: ['TOO_MANY_REQUESTS', 429],
  UNKNOWN: ['SYSTEM_ERROR', 500],
} as const satisfies Record<string, readonly [inside: ErrorCode, status: number]>

export interface OciFailure {
  readonly code: OciCode
  readonly status: number
  readonly detail?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** @param answer where it differs from what the code has, e.g. 416 with the `Range` that an upload has reached. */
export function ociError(
  code: OciCode,
  message: string,
  detail?: Readonly<Record<string, unknown>>,
  answer: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): AppError {
  const [inside, status] = KNOWN[code]
  const failure: OciFailure = { code, status, ...answer, ...(detail === undefined ? {} : { detail }) }
  return new AppError(inside, message, { oci: failure })
}

/**
 * Any expected failure as clients of a registry read it.
 * @param operation what was asked for; undefined: nothing that the specification has. @param status what the management API would answer.
 */
export function ociFailureOf(
  error: Pick<AppError, 'code' | 'detail'>,
  operation: OperationName | undefined,
  status: number,
): OciFailure {
  const told = error.detail.oci as OciFailure | undefined
  if (told !== undefined) return told
  const named = error.code === 'PARAMETER_INVALID' && error.detail.name === 'digest' ? 'DIGEST_INVALID' : undefined
  const code = named ?? MEANS[error.code] ?? absent(error.code, operation) ?? codeOfStatus(status, operation)
  const own = error.code in MEANS || status === 404 ? KNOWN[code][1] : status
  return { code, status: own }
}

const MEANS: Readonly<Partial<Record<ErrorCode, OciCode>>> = {
  UNAUTHENTICATED: 'UNAUTHORIZED',
  PERMISSION_DENIED: 'DENIED',
  ACCOUNT_PERMISSION_DENIED: 'DENIED',
  ARTIFACT_FORBIDDEN: 'DENIED',
  QUOTA_EXCEEDED: 'DENIED',
  REPOSITORY_NOT_FOUND: 'NAME_UNKNOWN',
  PROJECT_NOT_FOUND: 'NAME_UNKNOWN',
  PACKAGE_NOT_FOUND: 'NAME_UNKNOWN',
  PATH_INVALID: 'NAME_INVALID',
  UPLOAD_UNKNOWN: 'BLOB_UPLOAD_UNKNOWN',
  UPLOAD_INCONSISTENT: 'BLOB_UPLOAD_INVALID',
  RECEIVE_FAILED: 'BLOB_UPLOAD_INVALID',
  DIGEST_MISMATCH: 'DIGEST_INVALID',
  TOO_MANY_REQUESTS: 'TOOMANYREQUESTS',
  METHOD_NOT_ALLOWED: 'UNSUPPORTED',
  SYSTEM_ERROR: 'UNKNOWN',
}

/** What is missing depends on what was asked for. */
function absent(code: ErrorCode, operation: OperationName | undefined): OciCode | undefined {
  if (
    code !== 'NODE_NOT_FOUND' &&
    code !== 'VERSION_NOT_FOUND' &&
    code !== 'BLOB_UNKNOWN' &&
    code !== 'CONTENT_MISSING'
  )
    return undefined
  if (operation === 'putManifest') return 'MANIFEST_BLOB_UNKNOWN'
  return operation === 'getManifest' || operation === 'deleteManifest' ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN'
}

function codeOfStatus(status: number, operation: OperationName | undefined): OciCode {
  if (status >= 500) return 'UNKNOWN'
  if (status === 404) return 'NAME_UNKNOWN'
  if (operation === 'putManifest') return status === 413 ? 'SIZE_INVALID' : 'MANIFEST_INVALID'
  if (operation === undefined || operation.startsWith('get') || operation.startsWith('list')) return 'UNSUPPORTED'
  return status === 413 ? 'SIZE_INVALID' : 'BLOB_UPLOAD_INVALID'
}
