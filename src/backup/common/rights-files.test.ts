import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type CommonRecords, commonSite } from '../../../test/helpers/common-data.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { countingIds } from '../../../test/helpers/ids.ts'
import { makeRepositories } from '../../../test/helpers/replication-services.ts'
import { createBuiltInPermissions } from '../../auth/built-in-permissions.ts'
import type { NodePath } from '../../core/paths.ts'
import { listHeldPermissions } from '../../metadata/access/granted-rights.ts'
import {
  insertPermissions,
  listPermissions,
  setPermissionRepositories,
  setPermissionRoles,
  setPermissionUsers,
} from '../../metadata/access/permissions.ts'
import { insertRole, listRoles, type Role } from '../../metadata/access/roles.ts'
import { insertTemporaryTokens } from '../../metadata/access/temporary-tokens.ts'
import { insertUser } from '../../metadata/access/users.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'

const stamps = { createdBy: 'maker', createdAt: 1_000, modifiedBy: 'changer', modifiedAt: 2_000 }
const dates = {
  ...{ createdBy: 'm', createdDate: '2026-01-01T00:00:00.000Z' },
  ...{ lastModifiedBy: 'm', lastModifiedDate: '2026-01-01T00:00:00.000Z' },
}
const USER = {
  ...{ name: 'x', passwordHash: 'h', admin: false, locked: false, email: null, phone: null, credentialStamp: 1 },
  ...stamps,
}
const putUsers = (db: MetadataDatabase, ...userIds: string[]) =>
  db.transact(async (trx) => {
    for (const userId of userIds) await insertUser(trx, { userId, ...USER })
  })
const repoId = async (db: MetadataDatabase, name: string) => (await findRepository(db.read, 'bkrepo', name))!.id
const roleOf = (id: string, repo: { id: number; name: string | null }): Role => ({
  ...{ id, roleId: 'testers', type: repo.id === 0 ? 'PROJECT' : 'REPO', project: 'bkrepo' },
  ...{ repoId: repo.id, repoName: repo.name, name: 'Testers', admin: false, description: 'who test', ...stamps },
})

/** A project and a repository with a role each, permissions that name both, and a temporary token. */
async function withRights(db: MetadataDatabase): Promise<void> {
  await makeRepositories(db, 'files', 'other')
  await putUsers(db, 'ann', 'ben')
  const files = await repoId(db, 'files')
  const [ofProject, ofRepo] = ['1'.repeat(24), '2'.repeat(24)]
  const permission = { project: 'bkrepo', homeRepo: 0, exclude: [], ...stamps }
  await db.transact(async (trx) => {
    await insertRole(trx, roleOf(ofProject, { id: 0, name: null }))
    await insertRole(trx, roleOf(ofRepo, { id: files, name: 'files' }))
    await createBuiltInPermissions(
      trx,
      { id: files, project: 'bkrepo' },
      { clock: { now: () => 5 } as never, ids: countingIds() },
      'm',
    )
    const include = ['/a', '/b'] as NodePath[]
    await insertPermissions(trx, [
      { ...permission, id: '3'.repeat(24), resourceType: 'NODE', name: 'some', include, actions: ['READ'] },
      {
        ...permission,
        id: '4'.repeat(24),
        resourceType: 'REPLICATION',
        project: '',
        name: 'sync',
        include: [],
        actions: ['READ'],
      },
    ])
    await setPermissionRepositories(trx, '3'.repeat(24), [files, await repoId(db, 'other')])
    await setPermissionRoles(trx, '3'.repeat(24), [ofProject, ofRepo])
    await setPermissionUsers(trx, '3'.repeat(24), ['ann'])
    await setPermissionUsers(trx, '4'.repeat(24), ['ben'])
    const grant = {
      repoId: files,
      path: '/a' as NodePath,
      type: 'ALL' as const,
      createdBy: 'ann',
      appId: null,
      createdAt: 7,
    }
    const token = (n: number, expiresAt: number | null, permits: number | null) => ({
      ...{ ...grant, expiresAt, permits, hash: Buffer.alloc(32, n) },
      ...{ users: ['ben'], addresses: ['10.0.0.0/8'] },
    })
    const later = Date.UTC(2027, 0, 1)
    await insertTemporaryTokens(trx, [token(1, null, 3), token(2, later, null), token(3, 1, null), token(4, null, 0)])
  })
}

eachDatabase('roles, permissions and temporary tokens of a backup', (make) => {
  it('given rights by name, when they come back where repositories have other ids, then they are the same by name', async () => {
    await using source = await make()
    await using target = await make()
    await withRights(source)
    const records = await commonSite(source).backup()
    assert.equal(records['temporary_token.json']?.length, 2, 'neither expired nor used up')
    assert.equal(records['permission.json']?.length, 5)
    const site = commonSite(target)
    const users = { ...records, 'user.json': [] }
    await putUsers(target, 'ann', 'ben')
    // The repositories come between the phases, in another order.
    const result = await site.restore(users, { repositories: () => makeRepositories(target, 'other', 'files') })
    assert.deepEqual(result.failures, [])
    const sorted = (all: CommonRecords, file: string) => all[file]!.map((one) => JSON.stringify(one)).sort()
    const back = await site.backup()
    for (const file of ['role.json', 'permission.json', 'temporary_token.json'])
      assert.deepEqual(sorted(back, file), sorted(records, file))
    assert.notEqual(await repoId(source, 'files'), await repoId(target, 'files'))
    const held = await listHeldPermissions(target.read, 'ann')
    assert.deepEqual(
      held.map((one) => one.repoId).sort(),
      [await repoId(target, 'files'), await repoId(target, 'other')].sort(),
    )
    for (const onConflict of ['OVERWRITE', 'SKIP'] as const) {
      assert.deepEqual((await site.restore(users, { onConflict })).failures, [])
      const again = await site.backup()
      for (const file of ['role.json', 'permission.json', 'temporary_token.json'])
        assert.deepEqual(again[file], back[file])
    }
  })

  it('given permissions that a repository just came with, when restored with SKIP, then they have who had them', async () => {
    await using source = await make()
    await using target = await make()
    await withRights(source)
    const admins = (await listPermissions(source.read, {})).find(({ name }) => name === 'repo_admin')!
    await source.transact((trx) => setPermissionUsers(trx, admins.id, ['ann']))
    const records = await commonSite(source).backup()
    const site = commonSite(target)
    await putUsers(target, 'ann', 'ben')
    const repositories = async () => {
      await makeRepositories(target, 'files', 'other')
      const repository = { id: await repoId(target, 'files'), project: 'bkrepo' }
      await target.transact((trx) =>
        createBuiltInPermissions(trx, repository, { clock: site.clock, ids: countingIds() }, 'm'),
      )
    }
    const { failures } = await site.restore({ ...records, 'user.json': [] }, { onConflict: 'SKIP', repositories })
    assert.deepEqual(failures, [])
    const named = async () => (await listPermissions(target.read, {})).find(({ name }) => name === 'repo_admin')
    assert.deepEqual((await named())?.users, ['ann'])
    // By now it is somebody's work.
    const ben = records['permission.json']!.map((one) => ({ ...one, users: ['ben'] }))
    const again = await site.restore({ 'permission.json': ben }, { onConflict: 'SKIP' })
    assert.deepEqual([again.failures, (await named())?.users], [[], ['ann']])
  })

  it('given a permission and a role that are there, when restored with OVERWRITE, then lists are merged and fields replaced', async () => {
    await using db = await make()
    await withRights(db)
    const site = commonSite(db)
    const role = {
      ...dates,
      roleId: 'testers',
      projectId: 'bkrepo',
      repoName: null,
      type: 'PROJECT',
      name: 'New',
      admin: true,
    }
    const permission = {
      ...{ ...dates, permName: 'some', resourceType: 'NODE', projectId: 'bkrepo', repos: ['files'] },
      ...{ includePattern: ['/b', '/c'], excludePattern: ['/a/x'], users: ['ben'], roles: [], actions: ['WRITE'] },
    }
    const { failures } = await site.restore({ 'role.json': [role], 'permission.json': [permission] })
    assert.deepEqual(failures, [])
    const [changed] = await listRoles(db.read, { type: 'PROJECT' })
    assert.deepEqual(
      [changed?.name, changed?.admin, changed?.description, changed?.createdBy],
      ['New', true, null, 'maker'],
    )
    const merged = (await listPermissions(db.read, {})).find(({ name }) => name === 'some')!
    assert.deepEqual([merged.repos, merged.include, merged.exclude], [['files', 'other'], ['/a', '/b', '/c'], ['/a/x']])
    assert.deepEqual([merged.users, merged.roles.length, merged.actions], [['ann', 'ben'], 2, ['READ', 'WRITE']])
    await site.restore({ 'permission.json': [{ ...permission, includePattern: [] }] })
    assert.deepEqual((await listPermissions(db.read, {})).find(({ name }) => name === 'some')?.include, [], 'all paths')
  })

  it('given records that name what is not there, when restored, then each is told, and what can be restored is', async () => {
    await using db = await make()
    await makeRepositories(db, 'files')
    await putUsers(db, 'ann')
    const site = commonSite(db)
    const role = { ...dates, roleId: 'r', projectId: 'bkrepo', repoName: 'gone', type: 'REPO', name: 'R' }
    const permission = {
      ...{ ...dates, permName: 'p', resourceType: 'REPO', projectId: 'bkrepo', actions: ['READ'] },
      ...{ users: ['ann', 'nobody'], roles: [{ projectId: 'bkrepo', repoName: 'gone', roleId: 'r' }] },
    }
    const token = {
      ...{
        tokenHash: 'ab'.repeat(32),
        projectId: 'bkrepo',
        repoName: 'gone',
        fullPath: '/',
        type: 'ALL',
        createdBy: 'ann',
      },
      createdDate: dates.createdDate,
    }
    const { failures } = await site.restore({
      'role.json': [role, { ...role, projectId: 'elsewhere' }],
      'permission.json': [
        { ...permission, repos: ['files', 'gone'] },
        { ...permission, permName: 'q', repos: ['gone'] },
        { ...permission, permName: 's', repos: ['files'], homeRepoName: 'gone' },
      ],
      'temporary_token.json': [token, { ...token, repoName: 'files', createdBy: 'nobody' }],
    })
    assert.deepEqual(failures, [
      'role.json: bkrepo/gone: r: Repository [bkrepo/gone] not found',
      'role.json: elsewhere/gone: r: Project [elsewhere] not found',
      'temporary_token.json: bkrepo/gone/ abababababab: Repository [bkrepo/gone] not found',
      "temporary_token.json: bkrepo/files/ abababababab: Parameter [createdBy] is invalid: [nobody] is not there: the token would be nobody's",
      'permission.json: bkrepo: p: It is restored without what is not there: repository [bkrepo/gone], user [nobody], role [bkrepo/gone: r]',
      'permission.json: bkrepo: q: Repository [bkrepo/gone] not found',
      'permission.json: bkrepo/gone: s: Repository [bkrepo/gone] not found',
    ])
    const [kept, ...more] = await listPermissions(db.read, {})
    assert.deepEqual([kept?.name, kept?.repos, kept?.users, more], ['p', ['files'], ['ann'], []])
  })

  it('given bad records, when restored, then each is refused by itself', async () => {
    await using db = await make()
    await makeRepositories(db, 'files')
    await putUsers(db, 'ann')
    const role = { ...dates, roleId: 'r', projectId: 'bkrepo', repoName: 'files', type: 'REPO', name: 'R' }
    const permission = {
      ...{ ...dates, permName: 'p', resourceType: 'REPO', projectId: 'bkrepo', repos: ['files'], actions: ['READ'] },
    }
    const token = {
      ...{
        tokenHash: 'ab'.repeat(32),
        projectId: 'bkrepo',
        repoName: 'files',
        fullPath: '/',
        type: 'ALL',
        createdBy: 'ann',
      },
      createdDate: dates.createdDate,
    }
    const bad: CommonRecords = {
      'role.json': [
        { ...role, type: 'PROJECT' },
        { ...role, type: 'SYSTEM' },
        { ...role, roleId: '../r' },
        { ...role, repoName: 'a/../b' },
        { ...role, repoName: null },
        { ...role, name: '' },
      ],
      'permission.json': [
        { ...permission, resourceType: 'ALL' },
        { ...permission, repos: [] },
        { ...permission, actions: [] },
        { ...permission, actions: ['FLY'] },
        { ...permission, includePattern: ['/a/../b'] },
        { ...permission, resourceType: 'SYSTEM' },
        { ...permission, resourceType: 'SYSTEM', projectId: null },
        { ...permission, projectId: null },
        { ...permission, users: [{ userId: 'ann' }] },
        { ...permission, roles: [{ projectId: 'other', repoName: null, roleId: 'r' }] },
      ],
      'temporary_token.json': [
        { ...token, tokenHash: 'topsecret' },
        { ...token, type: 'DELETE' },
        { ...token, permits: -1 },
        { ...token, authorizedIpList: ['everywhere'] },
        { ...token, expireDate: 'never' },
      ],
    }
    const { failures, success } = await commonSite(db).restore(bad)
    const count = Object.values(bad).reduce((sum, records) => sum + records.length, 0)
    assert.deepEqual([failures.length, success], [count, 0], failures.join('\n'))
    assert.equal(failures.join().includes('topsecret'), false)
  })
})
