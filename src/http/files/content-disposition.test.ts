import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { attachmentOf } from './content-disposition.ts'

describe('attachmentOf', () => {
  for (const [name, expected] of [
    ['a b.txt', 'attachment; filename="a b.txt"'],
    ['x"y.txt', `attachment; filename="x_y.txt"; filename*=UTF-8''x%22y.txt`],
    ['50%.txt', `attachment; filename="50_.txt"; filename*=UTF-8''50%25.txt`],
    ['übung 😀.txt', `attachment; filename="_bung _.txt"; filename*=UTF-8''%C3%BCbung%20%F0%9F%98%80.txt`],
    [`it's (1)*é`, `attachment; filename="it's (1)*_"; filename*=UTF-8''it%27s%20%281%29%2A%C3%A9`],
  ] as const) {
    it(`given ${name}, when written as a header, then ${expected}`, () => {
      assert.equal(attachmentOf(name), expected)
    })
  }
})
