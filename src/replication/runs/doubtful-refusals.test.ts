import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LinkDown, RemoteRefusal } from '../../remotes/transport/failures.ts'
import { createDoubtfulRefusals } from './doubtful-refusals.ts'

const LINK = { recordId: 'r', linkId: 1, progressed: false }
const UNCLEAR = new RemoteRefusal('what?', 400, 250106)

describe('refusals that may be damage on the way', () => {
  it('given one link that is refused again and again, when asked, then it may try three times, and other links are counted for themselves', () => {
    const refusals = createDoubtfulRefusals()
    assert.deepEqual(
      [1, 2, 3, 4].map(() => refusals.again(UNCLEAR, LINK)),
      [1, 2, 3, undefined],
    )
    assert.equal(refusals.again(UNCLEAR, { ...LINK, linkId: 2 }), 1)
  })

  it('given progress, or an end, between refusals, when asked, then it is counted anew', () => {
    const refusals = createDoubtfulRefusals()
    const again = (progressed: boolean) => refusals.again(UNCLEAR, { ...LINK, progressed })
    assert.deepEqual([again(false), again(false), again(true), again(false)], [1, 2, 1, 2])
    refusals.forget(LINK)
    assert.equal(again(false), 1)
  })

  it('given refusals that say what is wrong, and outages, when asked, then they are believed', () => {
    const refusals = createDoubtfulRefusals()
    for (const error of [
      new RemoteRefusal('no', 403, 250128),
      new RemoteRefusal('gone', 412, 250133),
      new LinkDown('x'),
    ])
      assert.equal(refusals.again(error, LINK), undefined)
  })
})
