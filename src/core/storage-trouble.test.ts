import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { storageTrouble } from './storage-trouble.ts'

const coded = (code: string, extra: object = {}) =>
  Object.assign(new Error(`${code}: at /secret/path`), { code, ...extra })

describe('storage trouble', () => {
  for (const [code, expected] of [
    ['ENOSPC', /no space/],
    ['EDQUOT', /no space/],
    ['53100', /no space/],
    ['EIO', /fails/],
    ['58030', /fails/],
  ] as const) {
    it(`given ${code} as the cause of an error, when it is looked at, then it says so and names no path`, () => {
      const trouble = storageTrouble(new Error('could not be put', { cause: coded(code) }))
      assert.equal(trouble?.code, 'STORAGE_UNAVAILABLE')
      assert.match(trouble.message, expected)
      assert.equal(trouble?.retryable, true)
      assert.doesNotMatch(trouble?.message ?? '', /secret/)
    })
  }

  it('given a SQLite database that may not grow, when it is written, then that is the trouble', () => {
    using database = new DatabaseSync(':memory:')
    database.exec('create table t (x); pragma max_page_count = 2')
    assert.throws(
      () => database.exec('insert into t values (zeroblob(100000))'),
      (error) => /no space/.test(storageTrouble(error)?.message ?? ''),
    )
  })

  it('given any other error, when it is looked at, then it is no trouble of the storage', () => {
    for (const error of [coded('ENOENT'), new TypeError('x'), 'text', undefined])
      assert.equal(storageTrouble(error), undefined)
  })
})
