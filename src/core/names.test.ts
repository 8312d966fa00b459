import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isProjectName, isRepositoryName, isReservedProjectName } from './names.ts'

describe('names', () => {
  it('given names at the edges of the project rule, when checked, then length, first character and alphabet decide', () => {
    for (const good of ['ab', '_1', 'A-b_c', `a${'b'.repeat(99)}`]) assert.equal(isProjectName(good), true, good)
    for (const bad of ['', 'a', '1a', '-a', 'a.b', 'a b', 'a/b', 'ä1', 'ab\n', `a${'b'.repeat(100)}`]) {
      assert.equal(isProjectName(bad), false, bad)
    }
  })

  it('given words that stand in the place of a project, when checked, then they are no names of projects', () => {
    for (const word of ['block', 'separate', 'temporary', 'runOnceTask'])
      assert.equal(isReservedProjectName(word), true, word)
    for (const free of ['blocks', 'Block', 'demo']) assert.equal(isReservedProjectName(free), false, free)
  })

  it('given names at the edges of the repository rule, when checked, then dots are allowed inside and 64 is the most', () => {
    for (const good of ['ab', 'a.b', '_.', `a${'b'.repeat(63)}`]) assert.equal(isRepositoryName(good), true, good)
    for (const bad of ['', 'a', '.ab', '..', '9a', 'a/b', 'a%b', 'ab\n', `a${'b'.repeat(64)}`]) {
      assert.equal(isRepositoryName(bad), false, bad)
    }
  })
})
