import assert from 'node:assert/strict'
import { it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { seededRandom } from '../../test/helpers/ids.ts'
import { type ErrorCode, hasCode } from '../core/errors.ts'
import { createPasswords } from './passwords.ts'
import { createUserTokens } from './user-tokens.ts'
import { createUsers } from './users.ts'

async function world(make: MakeDatabase) {
  const db = await make()
  const clock = manualClock()
  const random = seededRandom()
  const passwords = createPasswords(random)
  const users = createUsers({ db, clock, random, passwords })
  const tokens = createUserTokens({ db, clock, random })
  return { db, clock, users, tokens, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}
const ann = { userId: 'ann', name: 'Ann', password: 'ann password' }
const code =
  (...codes: ErrorCode[]) =>
  (error: unknown) =>
    hasCode(error, ...codes)

eachDatabase('users', (make) => {
  it('given an empty store, when several nodes ensure an administrator, then one makes it and tells its password', async () => {
    await using w = await world(make)
    const made = await Promise.all([1, 2, 3].map(() => w.users.ensureAdministrator(undefined)))
    const told = made.filter((first) => first !== undefined)
    assert.equal(told.length, 1)
    assert.equal(told[0]!.userId, 'admin')
    assert.match(told[0]!.generatedPassword!, /^[A-Za-z0-9_-]{24}$/)
    assert.equal((await w.users.get('admin')).admin, true)
    assert.equal(await w.users.ensureAdministrator('something else'), undefined)
  })

  it('given a configured password, when the administrator is made, then none is generated', async () => {
    await using w = await world(make)
    assert.deepEqual(await w.users.ensureAdministrator('configured'), { userId: 'admin', generatedPassword: undefined })
    await w.users.changePassword('admin', 'configured', 'other password')
  })

  it('given a user, when it is read in any way, then no hash and no stamp is among it', async () => {
    await using w = await world(make)
    const made = await w.users.create({ ...ann, email: 'ann@example.org' }, 'admin')
    const now = w.clock.now()
    const expected = {
      ...{ userId: 'ann', name: 'Ann', admin: false, locked: false, email: 'ann@example.org', phone: null },
      ...{ createdBy: 'admin', createdAt: now, modifiedBy: 'admin', modifiedAt: now },
    }
    assert.deepEqual(made, expected)
    assert.deepEqual(await w.users.get('ann'), expected)
    assert.deepEqual(await w.users.list({}), [expected])
    assert.deepEqual(await w.users.list({ userIdPrefix: 'an%' }), [])
  })

  it('given a taken id, when a user is created, then it is refused and the first one stays', async () => {
    await using w = await world(make)
    await w.users.create(ann, 'admin')
    await assert.rejects(w.users.create({ ...ann, name: 'Other' }, 'admin'), code('USER_EXISTED'))
    assert.equal((await w.users.get('ann')).name, 'Ann')
  })

  const refused: readonly [string, Partial<typeof ann> & { email?: string }, ErrorCode][] = [
    ['an empty id', { userId: '' }, 'PARAMETER_EMPTY'],
    ['an id with a colon', { userId: 'a:b' }, 'PARAMETER_INVALID'],
    ['an id with a slash', { userId: 'a/b' }, 'PARAMETER_INVALID'],
    ['a reserved id', { userId: 'anonymous' }, 'PARAMETER_INVALID'],
    ['a long id', { userId: 'a'.repeat(65) }, 'PARAMETER_INVALID'],
    ['an empty name', { name: ' ' }, 'PARAMETER_EMPTY'],
    ['a long name', { name: 'n'.repeat(129) }, 'PARAMETER_INVALID'],
    ['a short password', { password: '1234567' }, 'PARAMETER_INVALID'],
    ['a password with NUL', { password: '12345678\u0000' }, 'PARAMETER_INVALID'],
    ['a long mail address', { email: 'e'.repeat(255) }, 'PARAMETER_INVALID'],
  ]
  it('given bad fields, when a user is created, then each is refused and nothing is stored', async () => {
    await using w = await world(make)
    for (const [title, change, expected] of refused) {
      await assert.rejects(w.users.create({ ...ann, ...change }, 'admin'), code(expected), title)
    }
    assert.deepEqual(await w.users.list({}), [])
  })

  it('given a change, when it is made, then other fields stay and who made it is kept', async () => {
    await using w = await world(make)
    await w.users.create({ ...ann, email: 'ann@example.org', phone: '1' }, 'admin')
    await w.clock.advance(5)
    await w.users.update('ann', { name: 'Anna', email: null }, 'root')
    const { name, email, phone, modifiedBy, modifiedAt, createdBy } = await w.users.get('ann')
    assert.deepEqual(
      [name, email, phone, modifiedBy, modifiedAt, createdBy],
      ['Anna', null, '1', 'root', w.clock.now(), 'admin'],
    )
  })

  it('given nobody of that id, when anything is asked, then it is not found', async () => {
    await using w = await world(make)
    assert.equal(await w.users.find('bob'), undefined)
    await assert.rejects(w.users.get('bob'), code('USER_NOT_FOUND'))
    await assert.rejects(w.users.update('bob', { name: 'Bob' }, 'admin'), code('USER_NOT_FOUND'))
    await assert.rejects(w.users.delete('bob'), code('USER_NOT_FOUND'))
    await assert.rejects(w.users.changePassword('bob', 'x', 'new password'), code('USER_NOT_FOUND'))
    await assert.rejects(w.tokens.create('bob', 'ci', null), code('USER_NOT_FOUND'))
    await assert.rejects(w.tokens.list('bob'), code('USER_NOT_FOUND'))
  })

  it('given a wrong old password, when the password is changed, then it is refused', async () => {
    await using w = await world(make)
    await w.users.create(ann, 'admin')
    await assert.rejects(w.users.changePassword('ann', 'wrong', 'new password'), code('PASSWORD_CHANGE_FAILED'))
    await w.users.changePassword('ann', 'ann password', 'new password')
    await w.users.changePassword('ann', 'new password', 'ann password')
  })

  it('given the only administrator, when it is deleted, locked or demoted, then it is refused', async () => {
    await using w = await world(make)
    await w.users.create({ ...ann, admin: true }, 'system')
    await w.users.create({ userId: 'locked', name: 'L', password: 'locked password', admin: true, locked: true }, 'ann')
    await assert.rejects(w.users.delete('ann'), code('PARAMETER_INVALID'))
    await assert.rejects(w.users.update('ann', { locked: true }, 'ann'), code('PARAMETER_INVALID'))
    await assert.rejects(w.users.update('ann', { admin: false }, 'ann'), code('PARAMETER_INVALID'))
  })

  it('given two administrators, when each takes the rights of the other at once, then one keeps them', async () => {
    await using w = await world(make)
    await w.users.create({ ...ann, admin: true }, 'system')
    await w.users.create({ ...ann, userId: 'bob', admin: true }, 'system')
    const results = await Promise.allSettled([
      w.users.update('bob', { admin: false }, 'ann'),
      w.users.update('ann', { admin: false }, 'bob'),
    ])
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal((await w.users.list({})).filter(({ admin }) => admin).length, 1)
  })
})

eachDatabase('tokens of users', (make) => {
  it('given a token, when it is listed, then its value is not among it, and it checks for its user only', async () => {
    await using w = await world(make)
    await w.users.create(ann, 'admin')
    await w.users.create({ ...ann, userId: 'bob' }, 'admin')
    const expiresAt = w.clock.now() + 10
    const made = await w.tokens.create('ann', 'ci', expiresAt)
    assert.match(made.token, /^entrepot_[A-Za-z0-9_-]{43}$/)
    assert.deepEqual(await w.tokens.list('ann'), [{ name: 'ci', createdAt: w.clock.now(), expiresAt }])
    assert.equal(await w.tokens.check('ann', made.token), true)
    assert.equal(await w.tokens.check('bob', made.token), false)
    assert.equal(await w.tokens.check('ann', 'entrepot_other'), false)
    await w.clock.advance(10)
    assert.equal(await w.tokens.check('ann', made.token), false)
  })

  it('given a taken name or a time that passed, when a token is made, then it is refused', async () => {
    await using w = await world(make)
    await w.users.create(ann, 'admin')
    await w.tokens.create('ann', 'ci', null)
    await assert.rejects(w.tokens.create('ann', 'ci', null), code('TOKEN_EXISTED'))
    await assert.rejects(w.tokens.create('ann', 'other', w.clock.now()), code('TOKEN_EXPIRY_INVALID'))
    await assert.rejects(w.tokens.create('ann', '', null), code('PARAMETER_EMPTY'))
    await assert.rejects(w.tokens.create('ann', 'a\nb', null), code('PARAMETER_INVALID'))
  })

  it('given a deleted user, when one of the same id is made, then it has no tokens', async () => {
    await using w = await world(make)
    await w.users.create(ann, 'admin')
    await w.users.create({ ...ann, userId: 'root', admin: true }, 'admin')
    const { token } = await w.tokens.create('ann', 'ci', null)
    await w.users.delete('ann')
    await w.users.create(ann, 'admin')
    assert.deepEqual(await w.tokens.list('ann'), [])
    assert.equal(await w.tokens.check('ann', token), false)
    await w.tokens.delete('ann', 'ci')
  })
})
