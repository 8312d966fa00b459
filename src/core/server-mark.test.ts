import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isWithinRepository, serverMark } from './server-mark.ts'

describe('marks of servers', () => {
  it('given two installations, when marked, then each has its own, always the same', () => {
    assert.equal(serverMark('a'), serverMark('a'))
    assert.notEqual(serverMark('a'), serverMark('b'))
    assert.match(serverMark('a'), /^[0-9a-f]{32}$/)
  })
  it('given addresses, when compared with a repository, then it and all below it are within', () => {
    for (const path of ['/demo/images', '/demo/images/', '/demo/images/sub']) {
      assert.equal(isWithinRepository(`http://h:1${path}`, 'demo', 'images'), true, path)
    }
    for (const path of ['', '/demo', '/demo/images2', '/x/demo/images']) {
      assert.equal(isWithinRepository(`http://h:1${path}`, 'demo', 'images'), false, path)
    }
  })
})
