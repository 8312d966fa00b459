import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { parseScopes } from './scope-words.ts'

const image = (name: string, ...words: string[]) => ({ kind: 'image', project: 'p', repo: 'r', image: name, words })

describe('scopes of tokens', () => {
  const cases: readonly (readonly [title: string, given: readonly string[], asked: readonly object[]])[] = [
    ['one', ['repository:p/r/nginx:pull'], [image('nginx', 'pull')]],
    [
      'several parameters',
      ['repository:p/r/a:pull', 'repository:p/r/b:pull,push'],
      [image('a', 'pull'), image('b', 'pull', 'push')],
    ],
    ['several by spaces', ['repository:p/r/a/b:push  registry:catalog:*'], [image('a/b', 'push'), { kind: 'catalog' }]],
    ['a star', ['repository:p/r/nginx:*'], [image('nginx', 'pull', 'push', 'delete')]],
    ['words that nobody knows', ['repository:p/r/nginx:pull,fly'], [image('nginx', 'pull')]],
    ['the same twice', ['repository:p/r/a:pull', 'repository:p/r/a:pull'], [image('a', 'pull')]],
    [
      'what is no image of ours',
      [
        'repository:nginx:pull',
        'repository:p/r/UPPER:pull',
        'x',
        'repository:p/r/../a:pull',
        'repository:p\0/r/a:pull',
      ],
      [],
    ],
    ['nothing', ['', ' '], []],
  ]
  for (const [title, given, asked] of cases) {
    it(`given ${title}, when read, then that is asked for`, () => assert.deepEqual(parseScopes(given), asked))
  }

  it('given more than a token holds, when read, then they are refused', () => {
    const many = Array.from({ length: 101 }, (_, index) => `repository:p/r/a${index}:pull`)
    assert.throws(
      () => parseScopes(many),
      (error) => hasCode(error, 'PARAMETER_INVALID'),
    )
  })
})
