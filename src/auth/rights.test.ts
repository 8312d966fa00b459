import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, makeRepository } from '../../test/helpers/artifacts.ts'
import { eachDatabase, type TestDatabase } from '../../test/helpers/databases.ts'
import { countingIds } from '../../test/helpers/ids.ts'
import { insertUser } from '../metadata/access/users.ts'
import { openDatabase } from '../metadata/open-database.ts'
import type { Action } from './grants.ts'
import { createPermissions, type NewPermission } from './permissions.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { createRights } from './rights.ts'
import { createRoles } from './roles.ts'

const ann: Principal = { userId: 'ann', admin: false }
const admin: Principal = { userId: 'admin', admin: true }

async function services(db: TestDatabase) {
  const artifacts = artifactServices(db)
  const ids = countingIds()
  // Apart from those of the permissions that repositories come with.
  const deps = { db, clock: artifacts.clock, ids: { ...ids, id: () => `f${ids.id()}` } }
  for (const userId of ['ann', 'bob']) {
    const stamps = { createdBy: 'admin', createdAt: 0, modifiedBy: 'admin', modifiedAt: 0 }
    const account = { userId, name: userId, passwordHash: '', admin: false, locked: false, email: null, phone: null }
    await db.transact((trx) => insertUser(trx, { ...account, credentialStamp: 0, ...stamps }))
  }
  const permissions = createPermissions(deps)
  let names = 0
  const allow = (repos: string[], actions: Action[], more: Partial<NewPermission> = {}) =>
    permissions.create(
      {
        ...{ resourceType: 'REPO', project: 'demo', name: `p${++names}`, repos, actions },
        ...{ include: [], exclude: [], users: ['ann'], roles: [], ...more },
      },
      'admin',
    )
  return { ...artifacts, permissions, roles: createRoles(deps), rights: createRights({ db }), allow }
}

eachDatabase('rights', (make) => {
  it('given permissions of every kind, when the readable scope is asked for, then it has an entry for each that may read', async () => {
    await using db = await make()
    const s = await services(db)
    const open = await makeRepository(s, 'demo/open', 'public')
    const files = await makeRepository(s, 'demo/files')
    await makeRepository(s, 'demo/hidden')
    await makeRepository(s, 'demo/dropbox')
    const other = await makeRepository(s, 'other/files')
    await s.allow(['files'], ['READ'], { include: ['/a', '/b/'], exclude: ['/a/x'] })
    await s.allow(['files'], ['MANAGE'], { include: ['/c'] })
    await s.allow(['dropbox', 'files'], ['WRITE'])
    await s.allow(['files'], ['READ'], { project: 'other' })
    const scope = await s.rights.readableScope(ann, 'demo')
    assert.equal(scope.everything, false)
    const byRepo = (id: number) =>
      scope.repositories.filter(({ repoId }) => repoId === id).map(({ include, exclude }) => [include, exclude])
    assert.deepEqual(byRepo(open.id), [[[], []]])
    assert.deepEqual(byRepo(files.id).sort(), [
      [['/a', '/b'], ['/a/x']],
      [['/c'], []],
    ])
    assert.equal(scope.repositories.length, 3)
    assert.deepEqual((await s.rights.readableScope(ann, 'other')).repositories, [
      { repoId: other.id, include: [], exclude: [] },
    ])
    assert.deepEqual((await s.rights.readableScope(ANONYMOUS, 'demo')).repositories, [
      { repoId: open.id, include: [], exclude: [] },
    ])
    assert.deepEqual(await s.rights.readableScope(admin, 'demo'), { everything: true, repositories: [] })
    const limited: Principal = {
      ...admin,
      covers: (_action, resource) => resource.kind === 'repository' && resource.repoName === 'files',
    }
    const covered = await s.rights.readableScope(limited, 'demo')
    assert.deepEqual(covered, { everything: false, repositories: [{ repoId: files.id, include: [], exclude: [] }] })
  })

  it('given an administrator of a project, when the readable scope is asked for, then it is everything there', async () => {
    await using db = await make()
    const s = await services(db)
    await makeRepository(s, 'demo/files')
    await makeRepository(s, 'other/files')
    await db.transact((trx) => s.roles.makeAdministrator(trx, 'ann', { project: 'demo', repoName: null }, 'admin'))
    assert.equal((await s.rights.readableScope(ann, 'demo')).everything, true)
    assert.deepEqual(await s.rights.readableScope(ann, 'other'), { everything: false, repositories: [] })
    assert.deepEqual(await s.rights.visibleProjects(ann), { names: ['demo'], andPublic: true })
    assert.equal(await s.rights.visibleRepositories(ann, 'demo'), undefined)
  })

  it('given remembered grants, when another node changes them, then the next question sees it', async () => {
    await using db = await make()
    const s = await services(db)
    await makeRepository(s, 'demo/files')
    // Only one process has a SQLite database.
    await using second = db.dialect === 'postgres' ? await openDatabase(db.config) : undefined
    const node = second === undefined ? s.rights : createRights({ db: second })
    const granted = async () => {
      const { grants, repository } = await node.repositoryFacts(ann, 'demo', 'files')
      return grants.repositories.get(repository!.id)?.flatMap(({ actions }) => [...actions]) ?? []
    }
    assert.deepEqual(await granted(), [])
    const { id } = await s.allow(['files'], ['DELETE'])
    assert.deepEqual(await granted(), ['DELETE'])
    await s.permissions.update(id, { actions: ['VIEW'] }, 'admin')
    assert.deepEqual(await granted(), ['VIEW'])
    const role = await s.roles.create(
      { roleId: 'r', name: 'R', type: 'PROJECT', project: 'demo', repoName: null, admin: false, description: null },
      'admin',
    )
    await s.permissions.update(id, { users: ['bob'], roles: [role.id] }, 'admin')
    assert.deepEqual(await granted(), [])
    await s.roles.addUsers(role.id, ['ann', 'ann'])
    assert.deepEqual(await granted(), ['VIEW'])
    await s.roles.removeUsers(role.id, ['ann'])
    assert.deepEqual(await granted(), [])
    await s.repositories.update('demo', 'files', { public: true }, 'admin')
    assert.equal((await node.repositoryFacts(ANONYMOUS, 'demo', 'files')).repository?.public, true)
  })

  it('given unchanged rights, when a thousand questions are asked, then the grants are read once', async () => {
    await using db = await make()
    const s = await services(db)
    await makeRepository(s, 'demo/files')
    await s.allow(['files'], ['READ'])
    const { grants } = await s.rights.repositoryFacts(ann, 'demo', 'files')
    for (let asked = 0; asked < 1_000; asked++) {
      assert.equal((await s.rights.repositoryFacts(ann, 'demo', 'files')).grants, grants)
    }
  })
})
