import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { firstStep, stepAfterOpen } from './follow-state.ts'

describe('given a link that is claimed', () => {
  const known = { compared: false, cursor: 'holds', backfill: true } as const
  it('when it is new and the cursor of an earlier activation holds, then it goes on from there', () => {
    assert.equal(firstStep({ ...known, state: 'NEW' }), 'follow')
  })
  it('when it is new and has no cursor, or one that says nothing any more, then what exists is compared', () => {
    assert.equal(firstStep({ ...known, state: 'NEW', cursor: 'none' }), 'compare')
    assert.equal(firstStep({ ...known, state: 'NEW', cursor: 'void' }), 'compare')
  })
  it('when the task was changed, then what exists is compared although the cursor holds, after an outage too', () => {
    assert.equal(firstStep({ ...known, state: 'BACKFILL' }), 'compare')
    assert.equal(firstStep({ ...known, state: 'RETRY' }), 'compare')
  })
  it('when it was compared in this record, then it goes on from its cursor, after an outage and a kill too', () => {
    for (const state of ['CATCHUP', 'LIVE', 'RETRY'] as const) {
      assert.equal(firstStep({ ...known, state, compared: true }), 'follow')
    }
  })
  it('when the log was trimmed past the cursor, then it is compared again', () => {
    assert.equal(firstStep({ ...known, state: 'LIVE', compared: true, cursor: 'void' }), 'compare')
  })
  it('when the task does not bring over what exists, then it begins at the activation, and compares only where the log is silent', () => {
    const without = { ...known, backfill: false } as const
    assert.equal(firstStep({ ...without, state: 'NEW', cursor: 'none' }), 'follow-from-activation')
    assert.equal(firstStep({ ...without, state: 'BACKFILL' }), 'follow')
    assert.equal(firstStep({ ...without, state: 'NEW', cursor: 'void' }), 'compare')
  })
})

describe('given a target that was opened', () => {
  it('when it is the same and nobody else wrote there, then the link follows; else it compares', () => {
    assert.equal(stepAfterOpen({ isSame: true, isPure: true, backfill: true }), 'follow')
    assert.equal(stepAfterOpen({ isSame: true, isPure: false, backfill: true }), 'compare')
    assert.equal(stepAfterOpen({ isSame: false, isPure: true, backfill: true }), 'compare')
  })
  it('when the task does not bring over what exists, then what others did there is none of its business', () => {
    assert.equal(stepAfterOpen({ isSame: false, isPure: false, backfill: false }), 'follow')
  })
})
