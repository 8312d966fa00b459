import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { checkImport, importTaskName } from './import-request.ts'

const REPOSITORY = { project: 'demo', name: 'images', type: 'OCI' } as const
const BODY = { name: 'nginx', registry: 'registry.example:5000/team', packageName: 'nginx' }

interface Task {
  readonly replicaObjectType: string
  readonly replicaTaskObjects: readonly { readonly packageConstraints: unknown }[]
}
const taskOf = (body: object) => checkImport(body, REPOSITORY).task as unknown as Task

describe('requests for imports', () => {
  it('given an image with versions, when checked, then the task names them once, under a name that no distribution has', () => {
    const { name, registry, task } = checkImport({ ...BODY, versions: ['1', '2', '1'] }, REPOSITORY)
    assert.equal(name, 'nginx')
    assert.equal(task.name, importTaskName('demo', 'images', 'nginx'))
    assert.equal(registry.address, BODY.registry)
    assert.equal(registry.ping, true)
    const { replicaObjectType, replicaTaskObjects } = task as unknown as Task
    assert.equal(replicaObjectType, 'PACKAGE')
    assert.deepEqual(replicaTaskObjects[0]?.packageConstraints, [{ packageKey: 'oci://nginx', versions: ['1', '2'] }])
  })
  it('given no versions, a scheme, or no image, when checked, then all tags, the plain name, or all images are meant', () => {
    for (const versions of [undefined, null, []]) {
      const [object] = taskOf({ ...BODY, versions }).replicaTaskObjects
      assert.deepEqual(object?.packageConstraints, [{ packageKey: 'oci://nginx', versions: [] }])
    }
    const [schemed] = taskOf({ ...BODY, packageName: 'docker://team/a' }).replicaTaskObjects
    assert.deepEqual(schemed?.packageConstraints, [{ packageKey: 'oci://team/a', versions: [] }])
    const whole = taskOf({ ...BODY, packageName: '' })
    assert.deepEqual(
      [whole.replicaObjectType, whole.replicaTaskObjects[0]?.packageConstraints],
      ['REPOSITORY', undefined],
    )
  })
  it('given a password as it is shown, when checked, then it is none', () => {
    assert.equal(checkImport({ ...BODY, username: 'a', password: '******' }, REPOSITORY).registry.password, undefined)
    assert.equal(checkImport({ ...BODY, username: 'a', password: 'b' }, REPOSITORY).registry.password, 'b')
  })
  for (const [what, body] of [
    ['no name', { ...BODY, name: undefined }],
    ['a name with a slash', { ...BODY, name: 'a/b' }],
    ['no registry', { ...BODY, registry: undefined }],
    ['versions without an image', { ...BODY, packageName: undefined, versions: ['1'] }],
    ['versions that are no list', { ...BODY, versions: '1' }],
    ['a version that is no text', { ...BODY, versions: [1] }],
    ['a cluster', { ...BODY, clusterId: 'b' }],
    ['a setting that is no object', { ...BODY, setting: 'x' }],
    ['what is no certificate', { ...BODY, certificate: 'x' }],
    ['a user with a colon', { ...BODY, username: 'a:b', password: 'c' }],
    ['an image in capitals', { ...BODY, packageName: 'Team/Nginx' }],
    ['an image of 256 characters', { ...BODY, packageName: 'a'.repeat(256) }],
    ['a version that is no tag', { ...BODY, versions: ['1', 'a b'] }],
    ['a digest as a version', { ...BODY, versions: [`sha256:${'0'.repeat(64)}`] }],
    ['a password of nobody', { ...BODY, password: 'c' }],
  ] as const) {
    it(`given ${what}, when checked, then it is refused`, () => {
      assert.throws(
        () => checkImport(body, REPOSITORY),
        (error) =>
          hasCode(error, 'PARAMETER_INVALID', 'PARAMETER_MISSING', 'PARAMETER_EMPTY', 'REQUEST_CONTENT_INVALID'),
      )
    })
  }
})
