import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { HLC_ZERO } from '../../core/hlc.ts'
import { NO_LANES } from '../../core/lanes.ts'
import { normalisePath } from '../../core/paths.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { DecodedNode } from '../records/decoded.ts'
import { judgeNode } from './judge-node.ts'

const said = { createdBy: 'anna', createdAt: 1, modifiedBy: 'bob', modifiedAt: 2, expiresAt: null, accessedAt: null }
const FILE: DecodedNode = {
  ...{ project: 'p1', repo: 'r1', path: normalisePath('/a/f'), folder: false, digest: digestOf('x'), sizeBytes: 1 },
  ...{ md5: null, crc64: null, metadata: [{ key: 'k', value: { a: 1, b: 2 } }], ...said },
}
const FOLDER: DecodedNode = { ...FILE, folder: true, digest: undefined, sizeBytes: 0, metadata: [] }
const rowOf = (node: DecodedNode, more: Partial<NodeRecord> = {}): NodeRecord => ({
  ...{ ...node, digest: node.digest, id: 1, repoId: 1, origin: 0, hlc: HLC_ZERO, viaLink: null, viaMark: null },
  ...{ contentLanes: NO_LANES, metadataLanes: NO_LANES, ...more },
})
const judged = (node: DecodedNode, row: NodeRecord | undefined, onConflict: 'SKIP' | 'OVERWRITE' = 'OVERWRITE') =>
  judgeNode(node, { row, fileAbove: undefined }, onConflict)

it('given nothing at the path, when a node is judged, then it is written with either strategy', () => {
  assert.deepEqual(judged(FILE, undefined, 'SKIP'), { is: 'write' })
  assert.deepEqual(judged(FOLDER, undefined), { is: 'write' })
})

it('given a row that is equal, when it was read since and its metadata is ordered otherwise, then it is unchanged', () => {
  const row = rowOf(FILE, { accessedAt: 99, md5: 'a'.repeat(32), metadata: [{ key: 'k', value: { b: 2, a: 1 } }] })
  assert.deepEqual(judged(FILE, row), { is: 'unchanged' })
  assert.deepEqual(judged(FOLDER, rowOf(FOLDER, { createdBy: 'somebody', createdAt: 5 })), { is: 'unchanged' })
})

it('given the same content, when only what is said differs, then the row stays; when its maker does, it is replaced', () => {
  assert.deepEqual(judged(FILE, rowOf(FILE, { modifiedAt: 3 })), { is: 'describe' })
  assert.deepEqual(judged(FILE, rowOf(FILE, { metadata: [] })), { is: 'describe' })
  assert.deepEqual(judged(FILE, rowOf(FILE, { createdAt: 3 })), { is: 'write' })
  assert.deepEqual(judged(FILE, rowOf(FILE, { expiresAt: 3 })), { is: 'write' })
})

it('given another content, when judged, then OVERWRITE replaces it and SKIP keeps it and says so', () => {
  const row = rowOf(FILE, { digest: digestOf('y') })
  assert.deepEqual(judged(FILE, row), { is: 'write' })
  assert.deepEqual(judged(FILE, row, 'SKIP'), { is: 'kept', differs: true })
  assert.deepEqual(judged(FILE, rowOf(FILE, { modifiedAt: 3 }), 'SKIP'), { is: 'kept', differs: false })
})

it('given a folder where a file belongs, or a file above it, when judged, then it is refused', () => {
  assert.equal(judged(FILE, rowOf(FOLDER)).is, 'refused')
  assert.equal(judged(FOLDER, rowOf(FILE), 'SKIP').is, 'refused')
  const above = judgeNode(FILE, { row: undefined, fileAbove: normalisePath('/a') }, 'SKIP')
  assert.deepEqual(above, { is: 'refused', reason: 'a file is at [/a], where it needs a folder' })
})
