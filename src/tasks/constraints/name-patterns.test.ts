import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { createNamePatterns } from './name-patterns.ts'

const matching = (patterns: readonly string[], name: string) => [...createNamePatterns(patterns).matching(name)].sort()

it('given patterns, when a name is looked up, then * is any characters, and all others are themselves', () => {
  const patterns = ['*.log', 'app-*', 'a*b*c', '*', '**', 'x.y*', 'plain', '*a*']
  assert.deepEqual(matching(patterns, 'app-1.log'), ['*', '**', '*.log', '*a*', 'app-*'].sort())
  assert.deepEqual(matching(patterns, 'abc'), ['*', '**', '*a*', 'a*b*c'].sort())
  assert.deepEqual(matching(patterns, 'x-y1'), ['*', '**'])
  assert.deepEqual(matching(['ab*ba'], 'aba'), [], 'its two ends must not share a character')
  assert.deepEqual(matching(['*[0-9].jar', '*?.jar', '*(1).jar'], 'file(1).jar'), ['*(1).jar'])
})

it('given any patterns and names, when looked up, then the answer is that of comparing each', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), minLength: 1, maxLength: 7 })
  fc.assert(
    fc.property(fc.array(text, { maxLength: 12 }), text, (patterns, given) => {
      const name = given.replaceAll('*', 'a')
      const naive = [...new Set(patterns)].filter((pattern) => {
        const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*')
        return new RegExp(`^${source}$`).test(name)
      })
      assert.deepEqual(matching(patterns, name), naive.sort())
    }),
  )
})

it('given ten thousand patterns of one folder, when a name is looked up, then it is compared with few of them', () => {
  const patterns = Array.from({ length: 10_000 }, (_, n) => `artifact-${n % 100}-*-${Math.floor(n / 100)}.jar`)
  const { matching: find } = createNamePatterns(patterns)
  for (let n = 0; n < 10_000; n++) assert.equal([...find(`artifact-${n % 100}-x-${n % 77}.jar`)].length, 1)
})
