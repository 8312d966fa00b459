import assert from 'node:assert/strict'
import { it } from 'node:test'
import { normalisePath } from '../core/paths.ts'
import { pathsOf, type TaskObject } from './task.ts'

const object = (...paths: string[]): TaskObject => ({
  localRepo: 'a-repo',
  remoteProject: 'there',
  remoteRepo: 'a-repo',
  repoType: 'GENERIC',
  packageConstraints: null,
  pathConstraints: paths.map((path) => ({ path: normalisePath(path) })),
})

it('given an object with and without paths, when its scope is asked for, then it is those paths once, or everything', () => {
  assert.deepEqual(pathsOf(object('/a', '/b', 'a/')), ['/a', '/b'])
  assert.equal(pathsOf(object()), undefined)
})
