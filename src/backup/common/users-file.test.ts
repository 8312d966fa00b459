import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type CommonRecords, commonSite } from '../../../test/helpers/common-data.ts'
import { eachDatabase, type TestDatabase } from '../../../test/helpers/databases.ts'
import { DATES, makeRepositories } from '../../../test/helpers/replication-services.ts'
import { findAccessStamp } from '../../metadata/access/access-facts.ts'
import { putGroup } from '../../metadata/access/groups.ts'
import { addRoleUsers, insertRole, listRolesOfUsers } from '../../metadata/access/roles.ts'
import { findTokenOwner, insertToken } from '../../metadata/access/user-tokens.ts'
import { findUser, insertUser, type UserAccount } from '../../metadata/access/users.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'

const hash = (letter: string) => `$argon2id$v=19$m=19456,t=2,p=1$${'c2FsdHNhbHRzYWx0c2FsdA'}$${letter.repeat(43)}`
const stamps = { createdBy: 'maker', createdAt: 1_000, modifiedBy: 'changer', modifiedAt: 2_000 }
const account = (userId: string, more: Partial<UserAccount> = {}): UserAccount => ({
  ...{ userId, name: `Name of ${userId}`, passwordHash: hash('A'), admin: false, locked: false },
  ...{ email: `${userId}@example.org`, phone: null, credentialStamp: 5, ...stamps, ...more },
})
const role = (id: string, roleId: string) => ({
  ...{ id, roleId, type: 'PROJECT' as const, project: 'bkrepo', repoId: 0, repoName: null },
  ...{ name: roleId, admin: false, description: null, ...stamps },
})
async function putUsers(db: MetadataDatabase, ...users: readonly UserAccount[]): Promise<void> {
  await db.transact(async (trx) => {
    for (const user of users) await insertUser(trx, user)
  })
}
const rolesOf = async (db: TestDatabase, userId: string) => {
  const ids = (await listRolesOfUsers(db.read, [userId])).get(userId) ?? []
  const rows = await db.read
    .selectFrom('role')
    .selectAll()
    .where('id', 'in', [...ids, ''])
    .orderBy('role_id')
    .execute()
  return rows.map((row) => row.role_id)
}
const line = (userId: string, more: Record<string, unknown> = {}) => ({
  ...{ userId, name: userId, passwordHash: hash('B'), createdBy: 'm', lastModifiedBy: 'm' },
  ...{ createdDate: '2026-01-01T00:00:00.000Z', lastModifiedDate: '2026-01-01T00:00:00.000Z', ...more },
})
const usersOnly = (...lines: readonly Record<string, unknown>[]): CommonRecords => ({ 'user.json': [...lines] })

eachDatabase('users of a backup', (make) => {
  it('given an empty server, when users come back, then they are what they were, with tokens, roles and groups', async () => {
    await using source = await make()
    await using target = await make()
    for (const db of [source, target]) await makeRepositories(db, 'files')
    await putUsers(
      source,
      account('ann', { admin: true }),
      account('team'),
      account('zoe', { locked: true, phone: '1' }),
    )
    await source.transact(async (trx) => {
      await insertRole(trx, role('0'.repeat(24), 'readers'))
      await addRoleUsers(trx, '0'.repeat(24), ['ann'])
      await insertToken(trx, 'ann', { name: 'ci', createdAt: 3, expiresAt: 4, hash: Buffer.alloc(32, 9) })
      await putGroup(trx, 'team', true, ['ann', 'zoe'])
    })
    const records = await commonSite(source).backup()
    const site = commonSite(target)
    const before = await findAccessStamp(target.read)
    const result = await site.restore(records)
    assert.deepEqual(result.failures, [])
    assert.ok((await findAccessStamp(target.read)) > before, 'remembered grants are void')
    assert.deepEqual(await site.backup(), records)
    const zoe = await findUser(target.read, 'zoe')
    assert.deepEqual({ ...zoe, credentialStamp: 5 }, account('zoe', { locked: true, phone: '1' }))
    assert.ok(zoe!.credentialStamp >= site.clock.now(), 'no login of a user who was deleted before')
    assert.equal((await findTokenOwner(target.read, Buffer.alloc(32, 9)))?.userId, 'ann')
    const again = await site.restore(records)
    assert.deepEqual(again.failures, [])
    assert.deepEqual(await site.backup(), records)
    assert.deepEqual(await findUser(target.read, 'zoe'), zoe, 'nothing changed the second time')
  })

  for (const restoreCredentials of [false, true]) {
    it(`case 32: given a user with other roles and password, when restored over it with restoreCredentials ${restoreCredentials}, then roles are the union`, async () => {
      await using source = await make()
      await using target = await make()
      for (const db of [source, target]) await makeRepositories(db, 'files')
      await putUsers(source, account('ann', { admin: true }))
      await source.transact(async (trx) => {
        await insertRole(trx, role('1'.repeat(24), 'writers'))
        await addRoleUsers(trx, '1'.repeat(24), ['ann'])
      })
      await putUsers(target, account('ann', { passwordHash: hash('Z'), locked: true, name: 'Other' }))
      await putUsers(target, account('boss', { admin: true }))
      await target.transact(async (trx) => {
        await insertRole(trx, role('2'.repeat(24), 'readers'))
        await addRoleUsers(trx, '2'.repeat(24), ['ann'])
      })
      const records = await commonSite(source).backup()
      const { failures } = await commonSite(target).restore(records, { setting: { restoreCredentials } })
      assert.deepEqual(failures, [])
      assert.deepEqual(await rolesOf(target, 'ann'), ['readers', 'writers'])
      const { name, admin, locked, passwordHash, credentialStamp } = (await findUser(target.read, 'ann'))!
      assert.deepEqual(
        { name, admin, locked, passwordHash, credentialStamp },
        restoreCredentials
          ? { name: 'Name of ann', admin: true, locked: false, passwordHash: hash('A'), credentialStamp: 6 }
          : { name: 'Name of ann', admin: false, locked: true, passwordHash: hash('Z'), credentialStamp: 5 },
      )
    })
  }

  it('case 32: given the caller, the built-in administrator and the last one, when restored over them, then none is demoted or locked', async () => {
    await using db = await make()
    const site = commonSite(db)
    await putUsers(
      db,
      account('operator', { admin: true }),
      account('admin', { admin: true }),
      account('ann', { admin: true }),
    )
    const lines = ['operator', 'admin', 'ann'].map((userId) => line(userId, { admin: false, locked: true }))
    const all = { setting: { restoreCredentials: true } }
    await site.restore(usersOnly(...lines), all)
    const states = async () => {
      const found = await Promise.all(['operator', 'admin', 'ann'].map((userId) => findUser(db.read, userId)))
      return found.map((user) => user && [user.admin, user.locked, user.passwordHash.at(-1)])
    }
    assert.deepEqual(await states(), [
      [true, false, 'A'],
      [true, false, 'B'],
      [false, true, 'B'],
    ])
    await db.transact((trx) =>
      trx.updateTable('user_account').set({ admin: 0 }).where('user_id', 'in', ['operator', 'admin']).execute(),
    )
    await db.transact((trx) =>
      trx.updateTable('user_account').set({ admin: 1, locked: 0 }).where('user_id', '=', 'ann').execute(),
    )
    await site.restore(usersOnly(line('ann', { admin: false, locked: true })), all)
    assert.deepEqual((await states())[2], [true, false, 'B'])
  })

  it('given a user that is there, when restored with SKIP, then it keeps its fields, tokens and roles, and new ones come', async () => {
    await using db = await make()
    await makeRepositories(db, 'files')
    const site = commonSite(db)
    await putUsers(db, account('ann'))
    await db.transact((trx) => insertRole(trx, role('3'.repeat(24), 'readers')))
    const roles = [{ projectId: 'bkrepo', repoName: null, roleId: 'readers' }]
    const tokens = [{ name: 't', tokenHash: 'ab'.repeat(32), createdAt: '2026-01-01T00:00:00.000Z', expiredAt: null }]
    const records = usersOnly(line('ann', { roles, tokens }), line('ben', { roles }))
    const result = await site.restore(records, { onConflict: 'SKIP' })
    assert.deepEqual([result.success, result.skipped, result.failures], [1, 1, []])
    assert.deepEqual(await findUser(db.read, 'ann'), account('ann'))
    assert.deepEqual(await rolesOf(db, 'ann'), [])
    assert.deepEqual(await rolesOf(db, 'ben'), ['readers'])
    assert.equal(await findTokenOwner(db.read, Buffer.from('ab'.repeat(32), 'hex')), undefined)
  })

  for (const restoreCredentials of [false, true]) {
    it(`case 32: given users who revoked their tokens, when restored over them with restoreCredentials ${restoreCredentials}, then the tokens are back only if it is true, and never the caller's`, async () => {
      await using db = await make()
      const site = commonSite(db)
      await putUsers(db, account('operator', { admin: true }), account('admin', { admin: true }), account('ann'))
      const at = '2026-01-01T00:00:00.000Z'
      const lines = ['operator', 'admin', 'ann', 'new'].map((userId, n) =>
        line(userId, { tokens: [{ name: 't', tokenHash: `a${n}`.repeat(32), createdAt: at, expiredAt: null }] }),
      )
      const { failures } = await site.restore(usersOnly(...lines), { setting: { restoreCredentials } })
      assert.deepEqual(failures, [])
      const owners = await Promise.all(
        lines.map((_, n) => findTokenOwner(db.read, Buffer.from(`a${n}`.repeat(32), 'hex'))),
      )
      assert.deepEqual(
        owners.flatMap((owner) => owner?.userId ?? []),
        restoreCredentials ? ['admin', 'ann', 'new'] : ['new'],
      )
    })
  }

  it('given bad records, when they are restored, then each is refused by itself, and no secret is told', async () => {
    await using db = await make()
    const site = commonSite(db)
    const token = (tokenHash: unknown) => [{ name: 't', tokenHash, createdAt: '2026-01-01T00:00:00Z' }]
    const bad: unknown[] = [
      line('../../etc/passwd'),
      line('system'),
      line('a', { passwordHash: 'md5-of-topsecret' }),
      line('b', { passwordHash: hash('B').replace('m=19456', 'm=99999999') }),
      line('c', { passwordHash: undefined }),
      line('d', { name: 7 }),
      line('e', { admin: 'yes' }),
      line('f', { createdDate: 'yesterday' }),
      line('g', { tokens: token('topsecret') }),
      line('h', { tokens: 'topsecret' }),
      line('i', { asstUsers: ['anonymous'] }),
      line('j', { roles: [{ projectId: '../x', roleId: 'r' }] }),
      line('k', { name: 'nul\u0000' }),
      'topsecret',
      null,
      ['topsecret'],
    ]
    const records = usersOnly(...(bad as Record<string, unknown>[]), line('good', { unknown: 'field', pwd: 'x' }))
    const { failures, success } = await site.restore(records)
    assert.equal(failures.length, bad.length, failures.join('\n'))
    assert.equal(success, 1)
    assert.equal(failures.join().includes('topsecret'), false)
    const ids = await db.read.selectFrom('user_account').select('user_id').execute()
    assert.deepEqual(
      ids.map((row) => row.user_id),
      ['good'],
    )
  })

  it('given a role and a member that are not there, when the user is restored, then it is, and the rest is told', async () => {
    await using db = await make()
    const site = commonSite(db)
    const roles = [{ projectId: 'gone', repoName: 'files', roleId: 'readers' }]
    const { failures } = await site.restore(
      usersOnly(line('team', { roles, group: true, asstUsers: ['nobody', 'ann'] }), line('ann')),
    )
    assert.deepEqual(failures, [
      'user.json: team: It is restored without what is not there: role [gone/files: readers], member [nobody]',
    ])
    const members = await db.read.selectFrom('group_member').select('user_id').execute()
    assert.deepEqual(
      members.map((row) => row.user_id),
      ['ann'],
    )
  })

  it('given a dry run, when users are restored, then they are judged and nothing is written', async () => {
    await using db = await make()
    const site = commonSite(db)
    const result = await site.restore(usersOnly(line('ann'), line('b c')), { setting: { dryRun: true } })
    assert.deepEqual([result.success, result.failures.length], [1, 1])
    assert.deepEqual(await db.read.selectFrom('user_account').selectAll().execute(), [])
  })

  it('given one user twice and many users, when restored, then the later line counts', async () => {
    await using db = await make()
    const site = commonSite(db)
    const many = Array.from({ length: 450 }, (_, n) => line(`u${n}`))
    const { failures, success } = await site.restore(usersOnly(...many, line('u449', { name: 'Last' })))
    assert.deepEqual([failures, success], [[], 451])
    assert.equal((await findUser(db.read, 'u449'))?.name, 'Last')
    assert.equal((await site.backup())['user.json']?.length, 450)
    assert.equal(DATES.parse('x', '2026-01-01T00:00:00'), (await findUser(db.read, 'u0'))?.createdAt)
  })
})
