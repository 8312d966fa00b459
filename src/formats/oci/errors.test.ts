import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppError, type ErrorCode, invalid } from '../../core/errors.ts'
import { ociError, ociFailureOf } from './errors.ts'
import type { OperationName } from './operation.ts'

describe('errors of a registry', () => {
  const cases: readonly (readonly [ErrorCode, OperationName | undefined, number, string, number])[] = [
    ['UNAUTHENTICATED', 'getBlob', 401, 'UNAUTHORIZED', 401],
    ['PERMISSION_DENIED', 'putManifest', 403, 'DENIED', 403],
    ['QUOTA_EXCEEDED', 'finishUpload', 400, 'DENIED', 403],
    ['REPOSITORY_NOT_FOUND', 'listTags', 404, 'NAME_UNKNOWN', 404],
    ['PROJECT_NOT_FOUND', 'listTags', 404, 'NAME_UNKNOWN', 404],
    ['PATH_INVALID', 'getBlob', 400, 'NAME_INVALID', 400],
    ['NODE_NOT_FOUND', 'getBlob', 404, 'BLOB_UNKNOWN', 404],
    ['NODE_NOT_FOUND', 'getManifest', 404, 'MANIFEST_UNKNOWN', 404],
    ['VERSION_NOT_FOUND', 'deleteManifest', 404, 'MANIFEST_UNKNOWN', 404],
    ['BLOB_UNKNOWN', 'putManifest', 404, 'MANIFEST_BLOB_UNKNOWN', 404],
    ['CONTENT_MISSING', 'getBlob', 404, 'BLOB_UNKNOWN', 404],
    ['UPLOAD_UNKNOWN', 'appendUpload', 400, 'BLOB_UPLOAD_UNKNOWN', 404],
    ['DIGEST_MISMATCH', 'finishUpload', 400, 'DIGEST_INVALID', 400],
    ['RANGE_INVALID', 'getBlob', 416, 'UNSUPPORTED', 416],
    ['PRECONDITION_FAILED', 'getManifest', 412, 'UNSUPPORTED', 412],
    ['TOO_MANY_REQUESTS', undefined, 429, 'TOOMANYREQUESTS', 429],
    ['METHOD_NOT_ALLOWED', undefined, 405, 'UNSUPPORTED', 405],
    ['REQUEST_CONTENT_INVALID', 'putManifest', 413, 'SIZE_INVALID', 413],
    ['SYSTEM_ERROR', 'getBlob', 500, 'UNKNOWN', 500],
    ['STORAGE_UNAVAILABLE', 'finishUpload', 503, 'UNKNOWN', 503],
    ['UPSTREAM_FAILED', 'getBlob', 502, 'UNKNOWN', 502],
    ['URL_NOT_FOUND', undefined, 404, 'NAME_UNKNOWN', 404],
  ]
  for (const [inside, operation, status, code, own] of cases) {
    it(`given ${inside} of ${operation ?? 'nothing'}, when told, then it is ${code} with ${own}`, () => {
      assert.deepEqual(ociFailureOf(new AppError(inside, ''), operation, status), { code, status: own })
    })
  }

  it('given a digest that is none, when told, then it is DIGEST_INVALID', () => {
    assert.deepEqual(ociFailureOf(invalid('digest'), 'putManifest', 400), { code: 'DIGEST_INVALID', status: 400 })
  })
  it('given an error of a handler, when told, then code, status, detail and headers are as it says', () => {
    const headers = { range: '0-9' }
    const error = ociError('BLOB_UPLOAD_INVALID', 'x', { length: 10 }, { status: 416, headers })
    const told = { code: 'BLOB_UPLOAD_INVALID', status: 416, detail: { length: 10 }, headers }
    assert.deepEqual(ociFailureOf(error, 'appendUpload', 400), told)
  })
})
