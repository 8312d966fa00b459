import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { diskTroubleDuringRun, diskTroubleDuringUploads } from '../helpers/disk-trouble-run.ts'

const TROUBLES = ['EIO on sync', 'EIO on write', 'ENOSPC on write', 'ENOSPC on sync', 'ENOSPC on database'] as const
/** What a reason or a refusal must say. */
const WORDS = { EIO: /storage|disk|I\/O/i, ENOSPC: /space|full/i } as const
const wordsOf = (trouble: string) => WORDS[trouble.split(' ')[0] as keyof typeof WORDS]

const onLinux = { skip: process.platform === 'linux' ? false : 'needs /proc' }

describe("trouble of the target's disk during a run", onLinux, () => {
  for (const trouble of TROUBLES) {
    it(`given ${trouble} for a while, when it is over, then the run ends SUCCESS by itself, complete and counted once`, async (t) => {
      const record = await diskTroubleDuringRun({ trouble, lasts: 'a while' }, t.signal)
      assert.equal(record.status, 'SUCCESS')
    })
  }
  for (const trouble of ['EIO on sync', 'ENOSPC on write'] as const) {
    it(`given ${trouble} that stays, when the time for it is over, then FAILED and the reason says what is wrong, and all that was acknowledged is there`, async (t) => {
      const record = await diskTroubleDuringRun({ trouble, lasts: 'to the end' }, t.signal)
      assert.equal(record.status, 'FAILED')
      assert.match(record.errorReason ?? '', /^beta: /)
      assert.match(record.errorReason ?? '', wordsOf(trouble))
    })
  }
})

describe('trouble of the disk during uploads', onLinux, () => {
  for (const trouble of TROUBLES) {
    it(`given ${trouble}, when files are uploaded, then each is refused in clear words or kept through kill -9, and uploads work again afterwards`, async (t) => {
      const refusals = await diskTroubleDuringUploads(trouble, t.signal)
      for (const { status, message } of refusals) {
        assert.ok(status === 503 || status === 507, `${status}: ${message}`)
        assert.match(message, wordsOf(trouble))
      }
    })
  }
})
