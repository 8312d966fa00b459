import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { untilCommit } from './until-commit.ts'

describe('what is remembered until the next commit', () => {
  it('given an answer, when nothing was committed since, then it is not loaded again', async () => {
    let loads = 0
    const find = untilCommit({ commits: () => 7 }, async (...key) => `${key.join('/')} ${++loads}`)
    assert.equal(await find('a', 'b'), 'a/b 1')
    assert.equal(await find('a', 'b'), 'a/b 1')
    assert.equal(await find('ab', ''), 'ab/ 2')
  })

  it('given an answer, when something was committed, then it is loaded again', async () => {
    let commits = 0
    let loads = 0
    const find = untilCommit({ commits: () => commits }, async () => ++loads)
    await find('a')
    commits++
    assert.equal(await find('a'), 2)
  })

  it('given a load, when a commit goes through before it ends, then its answer is not remembered', async () => {
    let commits = 0
    let loads = 0
    const find = untilCommit({ commits: () => commits }, async () => {
      loads++
      if (loads === 1) commits++
      return loads
    })
    assert.equal(await find('a'), 1)
    assert.equal(await find('a'), 2)
  })

  it('given a database that others write too, when asked twice, then it is loaded twice', async () => {
    let loads = 0
    const find = untilCommit({ commits: () => undefined }, async () => ++loads)
    await find('a')
    assert.equal(await find('a'), 2)
  })

  it('given nothing found, when asked again, then it is looked up again', async () => {
    const answers = [undefined, 'there']
    const find = untilCommit({ commits: () => 1 }, async () => answers.shift())
    assert.equal(await find('a'), undefined)
    assert.equal(await find('a'), 'there')
  })
})
