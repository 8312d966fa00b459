import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryFingerprints } from '../../../test/helpers/memory-fingerprints.ts'
import { hasCode } from '../../core/errors.ts'
import { fingerprintOf, rowIdOf } from '../../core/fingerprint.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import { MAX_MESSAGE_BYTES, type ReconPart } from '../../remotes/cluster/recon/recon-message.ts'
import { readReconMessage } from '../../remotes/cluster/recon/recon-reader.ts'
import { createReconWriter } from '../../remotes/cluster/recon/recon-writer.ts'
import { answerRecon } from './answer.ts'

const NEVER = new AbortController().signal
const row = (path: string, content: number) => {
  return { path, content: [content, 2, 3, 4], metadata: [5, 6, 7, 8] } as const
}
const rows = ['/a', '/b', '/c', '/d'].map((path, index) => row(path, index))
const { content, metadata } = row('', 1)

async function ask(parts: readonly ReconPart[], target = memoryFingerprints(rows)) {
  const writer = createReconWriter('content')
  assert.ok(writer.add(parts))
  return readReconMessage(await answerRecon(writer.end(), target, NEVER))
}

describe('answers of reconciliation', () => {
  it('given the right sum, when asked, then nothing is said', async () => {
    const [sum] = await memoryFingerprints(rows).sums([EVERY_PATH])
    const answer = await ask([{ mode: 'fingerprint', range: EVERY_PATH, fingerprint: fingerprintOf(sum!, 'content') }])
    assert.deepEqual([answer.parts, answer.partial], [[], false])
  })
  it('given another sum, when few rows are there, then all of them are listed', async () => {
    const range = { lo: '/b', hi: '/d' }
    const answer = await ask([{ mode: 'fingerprint', range, fingerprint: Buffer.alloc(16) }])
    const ids = rows.slice(1, 3).map((one) => ({ path: one.path, id: rowIdOf(one, 'content') }))
    assert.deepEqual(answer.parts, [{ mode: 'rows', range, rows: ids }])
  })
  it('given a list, when some rows differ, then these come with their lanes, and what is not there as absent', async () => {
    const said = [rows[0]!, row('/b', 9), row('/bb', 1)].map((one) => ({ path: one.path, id: rowIdOf(one, 'content') }))
    const range = { lo: '/a', hi: '/d' }
    const answer = await ask([{ mode: 'rows', range, rows: said }])
    const standing = [
      { path: '/b', lanes: { content, metadata } },
      { path: '/bb', lanes: null },
      { path: '/c', lanes: { content: rows[2]!.content, metadata } },
    ]
    assert.deepEqual(answer.parts, [{ mode: 'lanes', range, rows: standing }])
  })
  it('given an empty range, when asked for what is there, then all rows come; and so do those that are asked for by path', async () => {
    const lanes = rows.map((one) => ({ path: one.path, lanes: { content: one.content, metadata } }))
    const empty = await ask([{ mode: 'empty', range: EVERY_PATH }])
    assert.deepEqual(empty.parts, [{ mode: 'lanes', range: EVERY_PATH, rows: lanes }])
    const asked = await ask([{ mode: 'question', range: EVERY_PATH, paths: ['/b', '/x'] }])
    assert.deepEqual(asked.parts, [{ mode: 'lanes', range: EVERY_PATH, rows: [lanes[1], { path: '/x', lanes: null }] }])
  })
  it('given more to say than a message holds, when asked, then the answer is partial and within its size', async () => {
    const many = Array.from({ length: 3_000 }, (_, n) => row(`/${String(n).padStart(4, '0')}${'x'.repeat(1_000)}`, n))
    const answer = await ask([{ mode: 'empty', range: EVERY_PATH }], memoryFingerprints(many))
    const said = answer.parts.flatMap((part) => (part.mode === 'lanes' ? part.rows : []))
    assert.equal(answer.partial, true)
    assert.deepEqual(said.at(-1)?.path, many[said.length - 1]?.path)
    assert.ok(said.length < 3_000 && said.length * 1_000 > MAX_MESSAGE_BYTES / 4, `${said.length} rows`)
    assert.ok(answer.reached! > said.at(-1)!.path)
  })
  it('given more ranges or paths than one answer is about, when asked, then it is partial, and its end is where to go on', async () => {
    const path = (n: number) => `/${String(n).padStart(5, '0')}`
    const ranges = Array.from({ length: 5_000 }, (_, n) => ({ lo: path(n), hi: path(n + 1) }))
    const empty = await ask(ranges.map((range) => ({ mode: 'empty', range })))
    assert.deepEqual([empty.partial, empty.reached], [true, path(4_096)])
    const questions = Array.from({ length: 20 }, (_, n) => ({
      ...({ mode: 'question', range: ranges[n]! } as const),
      paths: Array.from({ length: 256 }, (_, index) => `${path(n)}x${String(index).padStart(3, '0')}`),
    }))
    const asked = await ask(questions)
    assert.equal(asked.partial, true)
    assert.equal(asked.reached, path(16))
  })
  it('given a list of more paths than a source lists, when asked, then it is refused', async () => {
    const paths = Array.from({ length: 257 }, (_, n) => `/${String(n).padStart(3, '0')}`)
    const isRefused = (error: unknown) =>
      hasCode(error, 'REQUEST_CONTENT_INVALID') && /more than 256/.test(error.message)
    await assert.rejects(ask([{ mode: 'question', range: EVERY_PATH, paths }]), isRefused)
    const list = paths.map((path) => ({ path, id: Buffer.alloc(8) }))
    await assert.rejects(ask([{ mode: 'rows', range: EVERY_PATH, rows: list }]), isRefused)
  })
  it('given an answer as question, when asked, then it is refused', async () => {
    const isRefused = (error: unknown) => hasCode(error, 'REQUEST_CONTENT_INVALID')
    await assert.rejects(ask([{ mode: 'lanes', range: EVERY_PATH, rows: [] }]), isRefused)
    const writer = createReconWriter('content')
    await assert.rejects(answerRecon(writer.endPartial('/a'), memoryFingerprints(rows), NEVER), isRefused)
  })
})
