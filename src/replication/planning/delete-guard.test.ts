import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { checkDeleteGuard } from './delete-guard.ts'

it('given a guard, when deletions exceed one of its limits, then they pass; when they exceed both, then the words say how many and what to do', () => {
  const guard = { maxCount: 100, maxShare: 0.1 }
  for (const [deletions, targetFiles] of [
    [100, 100],
    [150, 1_500],
    [0, 0],
  ] as const) {
    checkDeleteGuard(guard, { deletions, targetFiles }, 'p/r')
  }
  assert.throws(
    () => checkDeleteGuard(guard, { deletions: 150, targetFiles: 1_499 }, 'p/r'),
    (error) => {
      assert.ok(hasCode(error, 'TASK_FAILED'))
      assert.match(
        error.message,
        /150 of 1499 files .*\[p\/r\].*maxCount 100 and maxShare 0\.1.*raise setting\.deleteGuard/,
      )
      return true
    },
  )
})
