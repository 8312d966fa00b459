import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { digestHex } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { createDates } from '../../http/dates.ts'
import { createRecordDecoder } from './decode-records.ts'
import { nodeEncoder } from './encode-records.ts'

const decoder = createRecordDecoder(createDates('Asia/Shanghai').parse)
const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const AUTHORS = { createdBy: 'anna', createdDate: '2024-12-24T17:13:54.123' }
const NODE = {
  ...AUTHORS,
  ...{ projectId: 'demo', repoName: 'files', folder: false, fullPath: '/a/b.txt', size: 3 },
  sha256: digestHex(digestOf('abc')),
}
const isBroken = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN')
const refused = (node: object) => assert.throws(() => decoder.node(JSON.stringify({ ...NODE, ...node })), isBroken)

describe('records of a backup', () => {
  it('given rows of nodes, when they are written and read, then they are the same', () => {
    const encode = nodeEncoder({ project: 'demo', repo: 'files' })
    const row = {
      ...{ path: '/a "b"/c\\é.txt', folder: 0, sha256: Buffer.from(NODE.sha256, 'hex'), md5: null, crc64: '17' },
      ...{ size: 3, metadata: '[{"key":"k","value":{"x":1},"system":true}]', expires_at: AT + 1, accessed_at: null },
      ...{ created_by: 'anna', created_at: AT, modified_by: 'bob', modified_at: AT + 5 },
    }
    const line = encode(row)
    assert.ok(line.endsWith('}\n'))
    assert.deepEqual(JSON.parse(line).path, '/a "b"/')
    const found = decoder.node(JSON.stringify({ ...JSON.parse(line), fullPath: '/a "b"/c.txt' }))
    assert.deepEqual(found, {
      ...{ project: 'demo', repo: 'files', path: '/a "b"/c.txt', folder: false, digest: digestOf('abc'), sizeBytes: 3 },
      ...{ md5: null, crc64: '17', metadata: [{ key: 'k', value: { x: 1 }, system: true }], expiresAt: AT + 1 },
      ...{ accessedAt: null, createdBy: 'anna', createdAt: AT, modifiedBy: 'bob', modifiedAt: AT + 5 },
    })
    const folder = encode({ ...row, path: '/top', folder: 1, sha256: null })
    assert.equal(JSON.parse(folder).path, '/')
    assert.equal(decoder.node(folder)!.digest, undefined)
  })

  it('case 28: given digests, paths and names that are none, when records are read, then each is refused', () => {
    refused({ sha256: '../../../etc/passwd' })
    refused({ sha256: null })
    refused({ sha256: '0'.repeat(64) })
    refused({ fullPath: '/a/../../b' })
    refused({ fullPath: 'a/b' })
    refused({ fullPath: '/' })
    refused({ fullPath: '/a\\b' })
    refused({ fullPath: '/a\u0000b' })
    refused({ projectId: '../x' })
    refused({ repoName: 'a/b' })
    refused({ size: -1 })
    refused({ createdDate: 'yesterday' })
    refused({ metadata: 'x' })
    for (const line of ['', '[]', '{', 'null', '"x"']) assert.throws(() => decoder.node(line), isBroken)
  })

  it('case 35: given what the reference writes, when it is read, then its forms are understood', () => {
    const node = decoder.node(JSON.stringify({ ...NODE, metadata: { key: 'value' }, _class: 'TNode' }))!
    assert.deepEqual(node.metadata, [{ key: 'key', value: 'value' }])
    assert.equal(node.createdAt, Date.UTC(2024, 11, 24, 9, 13, 54, 123))
    assert.deepEqual([node.modifiedBy, node.modifiedAt], ['anna', node.createdAt])
    assert.equal(decoder.node(JSON.stringify({ ...NODE, deleted: '2024-12-24T17:13:54.123' })), undefined)
    const repository = decoder.repository(
      JSON.stringify({ ...AUTHORS, projectId: 'demo', name: 'npm', type: 'NPM', configuration: '{"type":"local"}' }),
    )!
    assert.deepEqual(
      [repository.configuration, repository.category, repository.quota],
      [{ type: 'local' }, 'LOCAL', null],
    )
    const version = decoder.version(
      JSON.stringify({
        ...AUTHORS,
        projectId: 'demo',
        repoName: 'npm',
        packageKey: 'npm://a',
        name: '1',
        artifactPath: '/a.tgz',
      }),
    )!
    assert.deepEqual([version.files, version.artifactPath, version.tags], [undefined, '/a.tgz', []])
  })

  it('given tombstones, when they are read, then each kind has what it needs', () => {
    const place = { projectId: 'demo', repoName: 'files', deletedBy: 'anna', deletedDate: '2026-01-02T03:04:05.678Z' }
    const found = decoder.tombstone(JSON.stringify({ ...place, kind: 'NODE', fullPath: '/a' }))
    assert.deepEqual([found.path, found.deletedAt], ['/a', AT])
    assert.throws(() => decoder.tombstone(JSON.stringify({ ...place, kind: 'NODE' })), isBroken)
    assert.throws(
      () => decoder.tombstone(JSON.stringify({ ...place, kind: 'VERSION', packageKey: 'npm://a' })),
      isBroken,
    )
    assert.throws(() => decoder.tombstone(JSON.stringify({ ...place, kind: 'USER' })), isBroken)
  })
})
