import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase, type MakeDatabase } from '../../../test/helpers/databases.ts'
import { edge } from '../../../test/helpers/edge.ts'
import { identityServices } from '../../../test/helpers/identity.ts'
import { createRights } from '../../auth/rights.ts'
import { createDates } from '../dates.ts'
import { userRoutes } from './user-routes.ts'

const basic = (user: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`,
})
const ADMIN = basic('admin', 'admin password')
const ANN = basic('ann', 'ann password')

async function server(make: MakeDatabase) {
  const db = await make()
  const { users, tokens, changePassword, authentication } = identityServices(db)
  await users.ensureAdministrator('admin password')
  const access = { authenticate: authentication.authenticate, rights: createRights({ db }) }
  const e = await edge(() => [userRoutes({ users, tokens, changePassword, dates: createDates('UTC') })], { access })
  return {
    async call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, headers: object, payload?: object) {
      const answer = await e.app.inject({
        method,
        url: `/auth/api/user${path}`,
        headers: { ...headers },
        ...(payload && { payload }),
      })
      return { status: answer.statusCode, text: answer.body, ...(answer.json() as { code: number; data: unknown }) }
    },
    async [Symbol.asyncDispose]() {
      await e[Symbol.asyncDispose]()
      await db[Symbol.asyncDispose]()
    },
  }
}
const ann = { userId: 'ann', name: 'Ann', pwd: 'ann password', email: 'ann@example.org', unknown: 1 }

eachDatabase('user routes', (make) => {
  it('given a user made by an administrator, when it is asked for in any way, then no password or hash is told', async () => {
    await using s = await server(make)
    assert.equal((await s.call('POST', '/create', ADMIN, ann)).data, true)
    const date = '2026-01-01T00:00:00.000'
    const expected = {
      ...{ userId: 'ann', name: 'Ann', admin: false, locked: false, email: 'ann@example.org', phone: null },
      ...{ group: false, asstUsers: [], roles: [] },
      ...{ createdBy: 'admin', createdDate: date, lastModifiedBy: 'admin', lastModifiedDate: date },
    }
    const answers = [await s.call('GET', '/detail/ann', ADMIN), await s.call('GET', '/info', ANN)]
    for (const { data } of answers) assert.deepEqual(data, expected)
    const list = await s.call('GET', '/list', ADMIN)
    assert.deepEqual(
      (list.data as { userId: string }[]).map(({ userId }) => userId),
      ['admin', 'ann'],
    )
    for (const { text } of [...answers, list]) assert.equal(/argon2|pwd|password|stamp/i.test(text), false)
  })

  it('given a plain user, when it reaches for others or for more rights, then it is denied', async () => {
    await using s = await server(make)
    await s.call('POST', '/create', ADMIN, ann)
    const attempts = [
      await s.call('POST', '/create', ANN, { ...ann, userId: 'bob' }),
      await s.call('GET', '/list', ANN),
      await s.call('GET', '/detail/admin', ANN),
      await s.call('GET', '/detail/nobody', ANN),
      await s.call('PUT', '/update/info/admin', ANN, { name: 'x' }),
      await s.call('PUT', '/update/info/ann', ANN, { admin: true }),
      await s.call('PUT', '/update/info/ann', ANN, { locked: false }),
      await s.call('PUT', '/update/info/ann', ANN, { pwd: 'new password' }),
      await s.call('DELETE', '/delete/ann', ANN),
      await s.call('GET', '/list/token/admin', ANN),
      await s.call('POST', '/token/admin/ci', ANN),
      await s.call('DELETE', '/token/admin/ci', ANN),
      await s.call('POST', '/token', ANN, { uid: 'admin', token: 'x' }),
    ]
    for (const { status, code } of attempts) assert.deepEqual([status, code], [403, 250113])
    assert.equal((await s.call('GET', '/info', {})).status, 401)
  })

  it('given the own account, when a plain user changes name or password, then it holds', async () => {
    await using s = await server(make)
    await s.call('POST', '/create', ADMIN, ann)
    assert.equal((await s.call('PUT', '/update/info/ann', ANN, { name: 'Anna', email: '' })).data, true)
    const { name, email } = (await s.call('GET', '/info', ANN)).data as { name: string; email: string | null }
    assert.deepEqual([name, email], ['Anna', null])
    const wrong = await s.call('PUT', '/update/password/ann', ANN, { oldPwd: 'wrong', newPwd: 'new password' })
    assert.deepEqual([wrong.status, wrong.code], [400, 250121])
    await s.call('PUT', '/update/password/ann', ANN, { oldPwd: 'ann password', newPwd: 'new password' })
    assert.equal((await s.call('GET', '/info', ANN)).status, 401)
    assert.equal((await s.call('GET', '/info', basic('ann', 'new password'))).status, 200)
  })

  it('given wrong old passwords, when there are too many, then guessing waits, while the login that is known goes on', async () => {
    await using s = await server(make)
    await s.call('POST', '/create', ADMIN, ann)
    const { id: token } = (await s.call('POST', '/token/ann/ci', ANN)).data as { id: string }
    const stolen = { authorization: `Bearer ${token}` }
    const guess = (oldPwd: string) => s.call('PUT', '/update/password/ann', stolen, { oldPwd, newPwd: 'new password' })
    for (let round = 0; round < 5; round++) assert.equal((await guess(`guess ${round}`)).code, 250121)
    for (const secret of ['guess 6', 'ann password']) {
      const { status, code } = await guess(secret)
      assert.deepEqual([status, code], [429, 250124])
    }
    assert.equal((await s.call('GET', '/info', ANN)).status, 200)
  })

  it('given a token, when it is made, listed, checked, used and deleted, then its value is told once only', async () => {
    await using s = await server(make)
    await s.call('POST', '/create', ADMIN, ann)
    const made = await s.call('POST', '/token/ann/ci?expiredAt=2027-01-01T00:00:00', ANN)
    const { id: token, ...rest } = made.data as { id: string }
    const info = { name: 'ci', createdAt: '2026-01-01T00:00:00.000', expiredAt: '2027-01-01T00:00:00.000' }
    assert.deepEqual(rest, info)
    assert.deepEqual((await s.call('GET', '/list/token/ann', ANN)).data, [info])
    assert.equal((await s.call('POST', '/token', ADMIN, { uid: 'ann', token })).data, true)
    assert.equal((await s.call('POST', '/token', ADMIN, { uid: 'admin', token })).data, false)
    assert.equal((await s.call('GET', '/info', basic('ann', token))).status, 200)
    assert.equal((await s.call('GET', '/info', { authorization: `Bearer ${token}` })).status, 200)
    assert.equal((await s.call('DELETE', '/token/ann/ci', ADMIN)).data, true)
    assert.equal((await s.call('GET', '/info', basic('ann', token))).status, 401)
    assert.deepEqual((await s.call('GET', '/list/token/ann', ADMIN)).data, [])
  })

  const refusals: readonly [string, 'POST' | 'PUT' | 'GET' | 'DELETE', string, object | undefined, number][] = [
    ['no user id', 'POST', '/create', { name: 'x', pwd: 'long password' }, 250103],
    ['an empty name', 'POST', '/create', { userId: 'x', name: '', pwd: 'long password' }, 250104],
    ['a short password', 'POST', '/create', { userId: 'x', name: 'x', pwd: 'short' }, 250105],
    ['a bad user id', 'POST', '/create', { userId: 'x:y', name: 'x', pwd: 'long password' }, 250105],
    ['a name that is no text', 'POST', '/create', { userId: 'x', name: 1, pwd: 'long password' }, 250106],
    ['a taken id', 'POST', '/create', { userId: 'admin', name: 'x', pwd: 'long password' }, 250201],
    [
      'members of no group',
      'POST',
      '/create',
      { userId: 'x', name: 'x', pwd: 'long password', asstUsers: ['admin'] },
      250105,
    ],
    ['nobody of that id', 'GET', '/detail/nobody', undefined, 250202],
    ['nobody to change', 'PUT', '/update/info/nobody', { name: 'x' }, 250202],
    ['nobody to delete', 'DELETE', '/delete/nobody', undefined, 250202],
    ['the only administrator', 'DELETE', '/delete/admin', undefined, 250105],
    ['an expiry that passed', 'POST', '/token/admin/ci?expiredAt=2020-01-01T00:00:00', undefined, 250223],
    ['an expiry that is no date', 'POST', '/token/admin/ci?expiredAt=soon', undefined, 250105],
    ['a token for nobody', 'POST', '/token/nobody/ci', undefined, 250202],
    ['no token to check', 'POST', '/token', { uid: 'admin' }, 250103],
  ]
  it('given bad requests, when called, then each has its code and status 400', async () => {
    await using s = await server(make)
    for (const [title, method, path, payload, code] of refusals) {
      const answer = await s.call(method, path, ADMIN, payload)
      assert.deepEqual([answer.status, answer.code], [400, code], title)
    }
    await s.call('POST', '/token/admin/ci', ADMIN)
    assert.equal((await s.call('POST', '/token/admin/ci', ADMIN)).code, 250219)
  })
})
