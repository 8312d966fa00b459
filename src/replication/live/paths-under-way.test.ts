import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createPathsUnderWay } from './paths-under-way.ts'

it('given paths under way, when others are asked for, then the same, those above and those below collide until they are settled', () => {
  const touched = createPathsUnderWay()
  touched.add(['/a/b/c', '/a/d'])
  for (const path of ['/a/b/c', '/a/b', '/a', '/a/d/below']) assert.ok(touched.collide(['/z', path]), path)
  for (const path of ['/a/e', '/a/b/d', '/b']) assert.ok(!touched.collide([path]), path)
  touched.remove(['/a/b/c'])
  assert.ok(!touched.collide(['/a/b']))
  assert.ok(touched.collide(['/a']))
  touched.remove(['/a/d'])
  assert.ok(!touched.collide(['/a', '/a/b/c']))
})

it('given anything under way, when a version is asked for, then it waits: its files may be among it', () => {
  const touched = createPathsUnderWay()
  assert.ok(!touched.collide(['\u0000pkg/k/1']))
  touched.add(['/file'])
  assert.ok(touched.collide(['\u0000pkg/k/1']))
})
