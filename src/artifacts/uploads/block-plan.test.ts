import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ErrorCode, hasCode } from '../../core/errors.ts'
import type { BlockStyle } from '../../metadata/storage/block-uploads.ts'
import { checkBlocks } from './block-plan.ts'

type Blocks = readonly (readonly [position: number, sizeBytes: number])[]
const check = (style: BlockStyle, blocks: Blocks, announced?: number) =>
  checkBlocks(
    'up',
    style,
    blocks.map(([position, sizeBytes]) => ({ position, sizeBytes })),
    announced,
  )

describe('checkBlocks', () => {
  for (const [style, blocks, announced, expected] of [
    ['NUMBERED', [[1, 5]], undefined, 5],
    [
      'NUMBERED',
      [
        [1, 5],
        [2, 0],
        [3, 7],
      ],
      12,
      12,
    ],
    ['NUMBERED', [[1, 0]], 0, 0],
    [
      'SEPARATE',
      [
        [0, 5],
        [5, 7],
      ],
      12,
      12,
    ],
    ['SEPARATE', [[0, 0]], 0, 0],
    ['NUMBERED', [], undefined, 'UPLOAD_WITHOUT_BLOCKS'],
    ['SEPARATE', [], 0, 'UPLOAD_WITHOUT_BLOCKS'],
    ['NUMBERED', [[2, 5]], undefined, 'UPLOAD_INCOMPLETE'],
    [
      'NUMBERED',
      [
        [1, 5],
        [3, 5],
      ],
      undefined,
      'UPLOAD_INCOMPLETE',
    ],
    ['NUMBERED', [[1, 5]], 6, 'UPLOAD_INCONSISTENT'],
    ['SEPARATE', [[1, 5]], 5, 'UPLOAD_INCOMPLETE'],
    [
      'SEPARATE',
      [
        [0, 5],
        [6, 5],
      ],
      10,
      'UPLOAD_INCOMPLETE',
    ],
    [
      'SEPARATE',
      [
        [0, 5],
        [4, 5],
      ],
      10,
      'UPLOAD_INCOMPLETE',
    ],
    [
      'SEPARATE',
      [
        [0, 5],
        [5, 5],
      ],
      11,
      'UPLOAD_INCONSISTENT',
    ],
  ] as const satisfies readonly [BlockStyle, Blocks, number | undefined, number | ErrorCode][]) {
    it(`given ${style} blocks ${JSON.stringify(blocks)} and ${announced} bytes announced, when checked, then ${expected}`, () => {
      if (typeof expected === 'number') assert.equal(check(style, blocks, announced), expected)
      else
        assert.throws(
          () => check(style, blocks, announced),
          (error) => hasCode(error, expected),
        )
    })
  }

  it('given a gap or an overlap, when checked, then the place is named', () => {
    assert.throws(
      () =>
        check('NUMBERED', [
          [1, 5],
          [3, 5],
        ]),
      (error) => hasCode(error, 'UPLOAD_INCOMPLETE') && error.detail.sequence === 2,
    )
    assert.throws(
      () =>
        check('SEPARATE', [
          [0, 5],
          [9, 5],
        ]),
      (error) => hasCode(error, 'UPLOAD_INCOMPLETE') && error.detail.offset === 5,
    )
    assert.throws(
      () =>
        check('SEPARATE', [
          [0, 5],
          [4, 5],
        ]),
      (error) => hasCode(error, 'UPLOAD_INCOMPLETE') && error.detail.offset === 4,
    )
  })
})
