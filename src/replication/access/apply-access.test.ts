import assert from 'node:assert/strict'
import { it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { countingIds } from '../../../test/helpers/ids.ts'
import { makeRepositories } from '../../../test/helpers/replication-services.ts'
import type { AppError } from '../../core/errors.ts'
import { listHeldPermissions } from '../../metadata/access/granted-rights.ts'
import { findUser, updateUser } from '../../metadata/access/users.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type {
  AccessRequest,
  CopiedPermission,
  CopiedProject,
  CopiedUser,
} from '../../remotes/cluster/access-messages.ts'
import { createAccessApplier } from './apply-access.ts'

const HASH = `$argon2id$v=19$m=19456,t=2,p=1$${'c2FsdHNhbHRzYWx0c2FsdA'}$${'A'.repeat(43)}`
const user = (userId: string, more: Partial<CopiedUser> = {}): CopiedUser => ({
  ...{ userId, name: userId, passwordHash: HASH, admin: false, locked: false, email: null, phone: null },
  ...{ group: false, members: [], ...more },
})
const permission = (users: readonly string[], more: Partial<CopiedPermission> = {}): CopiedPermission => ({
  ...{ home: null, name: 'p', resourceType: 'NODE', repos: ['files'], include: [], exclude: [], actions: ['READ'] },
  ...{ users, roles: [], ...more },
})
const project = (more: Partial<CopiedProject> = {}): CopiedProject => ({
  ...{ from: 'theirs', project: 'bkrepo', repos: ['files'], roles: [], permissions: [], ...more },
})
const message = (copiedUsers: readonly CopiedUser[], ...copiedProjects: readonly CopiedProject[]): AccessRequest => ({
  ...{ sourceId: 'source', copiedUsers, copiedProjects },
})
async function target(db: MetadataDatabase) {
  await makeRepositories(db, 'files', 'other')
  const apply = createAccessApplier({ db, clock: manualClock(), ids: countingIds() })
  const may = async (userId: string) => (await listHeldPermissions(db.read, userId)).length > 0
  return { apply: (request: AccessRequest) => apply(request, 'boss'), may }
}

eachDatabase('users, roles and permissions of another cluster', (make) => {
  it('given the caller, and users that somebody here changed, when they come with other data, then they stay as they are', async () => {
    await using db = await make()
    const { apply } = await target(db)
    await apply(message([user('boss', { admin: true }), user('ann'), user('ben')]))
    const by = { userId: 'somebody', at: 5 }
    await db.transact((trx) => updateUser(trx, 'ben', { admin: true }, by))
    const counts = await apply(
      message([user('boss', { locked: true }), user('ann', { locked: true }), user('ben', { locked: true })]),
    )
    assert.deepEqual(counts.users, { created: 0, updated: 1, deleted: 0, unchanged: 0, kept: 2 })
    const states = await Promise.all(['boss', 'ann', 'ben'].map((id) => findUser(db.read, id)))
    assert.deepEqual(
      states.map((state) => [state!.admin, state!.locked]),
      [
        [true, false],
        [false, true],
        [true, false],
      ],
    )
  })

  it('given a permission of two repositories, when one of them names it no more, then it stays for the other', async () => {
    await using db = await make()
    const { apply, may } = await target(db)
    const ofOther = project({ repos: ['other'], permissions: [permission(['ann'], { repos: ['other'] })] })
    await apply(message([user('ann')], project({ permissions: [permission(['ann'])] }), ofOther))
    const repos = async () =>
      (await listHeldPermissions(db.read, 'ann')).map(({ repoId }) => repoId).filter((id) => id !== null).length
    assert.equal(await repos(), 2)
    await apply(message([], project()))
    assert.equal(await repos(), 1)
    await apply(message([], project({ repos: ['other'] })))
    assert.equal(await may('ann'), false)
    assert.deepEqual(await db.read.selectFrom('copied_access').selectAll().execute(), [])
    assert.equal((await db.read.selectFrom('permission').selectAll().execute()).length, 0)
  })

  it('given two sources of one project, when one takes back what it gave, then what the other gave stays', async () => {
    await using db = await make()
    const { apply, may } = await target(db)
    await apply(message([user('ann')], project({ permissions: [permission(['ann'])] })))
    await apply(message([user('ben')], project({ from: 'second', permissions: [permission(['ben'])] })))
    await apply(message([], project({ from: 'second' })))
    assert.deepEqual([await may('ann'), await may('ben')], [true, false])
  })

  it('given rights of the whole server, when they come, then they count', async () => {
    await using db = await make()
    const { apply, may } = await target(db)
    const system = permission(['ann'], { resourceType: 'SYSTEM', repos: [], name: 's' })
    await apply(
      message([user('ann', { admin: true })], { ...project({ permissions: [system] }), project: '', repos: [] }),
    )
    assert.equal(await may('ann'), true)
    assert.equal((await findUser(db.read, 'ann'))!.admin, true)
  })

  it('given messages that make no sense, when applied, then nothing is written, and no refusal tells a value', async () => {
    await using db = await make()
    const { apply } = await target(db)
    const costly = HASH.replace('m=19456', 'm=4194304')
    const wrong: readonly AccessRequest[] = [
      message([user('anonymous')]),
      message([user('a:b')]),
      message([user('ann', { passwordHash: 'a clear password' })]),
      message([user('ann', { passwordHash: costly })]),
      message([user('ann')], project({ project: 'nowhere' })),
      message([user('ann')], project({ permissions: [permission(['ann'], { repos: ['unnamed'] })] })),
      message([user('ann')], project({ permissions: [permission(['ann'], { actions: ['FLY'] })] })),
      message([user('ann')], project({ permissions: [permission(['ann'], { include: ['a/../b'] })] })),
      message([user('ann')], project({ permissions: [permission(['ann'], { resourceType: 'SYSTEM', repos: [] })] })),
      message([user('ann')], { ...project(), project: '' }),
    ]
    for (const request of wrong) {
      await assert.rejects(
        apply(request),
        ({ code, message: text }: AppError) =>
          ['PARAMETER_INVALID', 'REPOSITORY_NOT_FOUND'].includes(code) && !/argon2id|clear password/.test(text),
        JSON.stringify(request.copiedProjects),
      )
    }
    assert.equal(await findUser(db.read, 'ann'), undefined)
  })
})
