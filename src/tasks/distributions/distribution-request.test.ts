import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AppError, type ErrorCode, hasCode } from '../../core/errors.ts'
import { checkConfigs, checkRunOnce } from './distribution-request.ts'

const REPOSITORY = { project: 'demo', name: 'images', type: 'DOCKER' } as const
const CONFIG = { name: 'mirror', registry: 'registry.example:5000/team' }
const ONCE = { ...CONFIG, packageName: 'nginx', versions: ['1.1'] }
const refused = (code: ErrorCode, field: RegExp) => (error: unknown) => {
  assert.ok(hasCode(error, code), String(error))
  assert.match((error as AppError).message, field)
  return true
}

describe('requests for distributions', () => {
  it('given tags for one version, when checked, then each is meant once', () => {
    const { targetVersions } = checkRunOnce({ ...ONCE, targetVersions: ['1.2', '_a', '1.2'] }, REPOSITORY)
    assert.deepEqual(targetVersions, [['1.2', '_a']])
  })
  for (const tag of ['', ' ', 'a b', 'a/b', '../x', '-a', '.a', `sha256:${'0'.repeat(64)}`, 'a'.repeat(129), '日']) {
    it(`given [${tag.slice(0, 20)}] for a tag, when checked, then it is refused by either way of saying so`, () => {
      const targetVersions = ['1.2', tag]
      const constraint = { packageKey: 'docker://nginx', versions: ['1.1'], targetVersions }
      const isRefused = refused('PARAMETER_INVALID', /targetVersions/)
      assert.throws(() => checkRunOnce({ ...ONCE, targetVersions }, REPOSITORY), isRefused)
      assert.throws(() => checkConfigs([{ ...CONFIG, packageConstraints: [constraint] }], REPOSITORY), isRefused)
    })
  }
  it('given a registry that is to pull, when checked, then it is refused', () => {
    for (const replicaType of ['EDGE_PULL', 'edge-pull']) {
      const isRefused = refused('PARAMETER_INVALID', /replicaType/)
      assert.throws(() => checkConfigs([{ ...CONFIG, replicaType }], REPOSITORY), isRefused)
    }
  })
  it('given a setting that is no object, when checked, then it is refused', () => {
    for (const setting of ['x', 1, ['x'], true]) {
      const isRefused = refused('REQUEST_CONTENT_INVALID', /setting/)
      assert.throws(() => checkConfigs([{ ...CONFIG, setting }], REPOSITORY), isRefused)
      assert.throws(() => checkRunOnce({ ...ONCE, setting }, REPOSITORY), isRefused)
    }
  })
})
