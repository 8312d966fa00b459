import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Verdict } from '../remotes/cluster/messages.ts'
import type { ConflictStrategy } from '../tasks/task.ts'
import { planCopy, type Step } from './plan-copy.ts'

const verdict = (there: Verdict['there'], hasBlob = false): Verdict => ({
  there,
  rev: there === 'absent' ? null : '7.x',
  hasBlob,
})
const decide = (there: Verdict['there'], strategy: ConflictStrategy): Step => planCopy('/a', verdict(there), strategy)

describe('planCopy (replication.md 3.5)', () => {
  for (const strategy of ['SKIP', 'OVERWRITE', 'FAST_FAIL'] as const) {
    it(`given ${strategy}, when nothing is there, then it is written and no conflict`, () => {
      assert.deepEqual(decide('absent', strategy), { do: 'write', expect: null, sendBlob: true, conflict: false })
    })
    it(`given ${strategy}, when the same is there, then nothing is done and no conflict`, () => {
      assert.deepEqual(decide('same', strategy), { do: 'keep', as: 'unchanged' })
    })
    it(`given ${strategy}, when our own earlier delivery is there, then it is moved forward and no conflict`, () => {
      assert.deepEqual(decide('ours', strategy), { do: 'write', expect: '7.x', sendBlob: true, conflict: false })
    })
    it(`given ${strategy}, when a folder stands there, then the artifact fails and nothing is overwritten`, () => {
      assert.equal(decide('folder', strategy).do, 'fail')
    })
    it(`given ${strategy}, when this run had delivered it before it was interrupted, then it counts as written once`, () => {
      const step = planCopy('/a', { ...verdict('same'), delivered: 'conflict' }, strategy)
      assert.deepEqual(step, { do: 'count', conflict: true })
    })
  }
  it('given SKIP, when other content is there, then it is kept and counts as a conflict', () => {
    assert.deepEqual(decide('other', 'SKIP'), { do: 'keep', as: 'conflict' })
  })
  it('given OVERWRITE, when other content is there, then it is replaced, on condition that it still is that', () => {
    assert.deepEqual(decide('other', 'OVERWRITE'), { do: 'write', expect: '7.x', sendBlob: true, conflict: true })
  })
  it('given FAST_FAIL, when other content is there, then the artifact fails and names the file', () => {
    const step = decide('other', 'FAST_FAIL')
    assert.ok(step.do === 'fail' && step.conflict && step.reason.includes('[/a]'))
  })
  it('given that the target holds the bytes, when it is written, then they are not sent', () => {
    const step = planCopy('/a', verdict('absent', true), 'SKIP')
    assert.ok(step.do === 'write' && !step.sendBlob)
  })
})
