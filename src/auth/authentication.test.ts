import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ManualClock, manualClock } from '../../test/helpers/clock.ts'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { identityServices } from '../../test/helpers/identity.ts'
import { seededRandom } from '../../test/helpers/ids.ts'
import { hasCode } from '../core/errors.ts'
import type { Authentication } from './authentication.ts'
import { createPasswords, type Passwords } from './passwords.ts'
import { ANONYMOUS } from './principal.ts'
import type { UserTokens } from './user-tokens.ts'
import type { Users } from './users.ts'

interface World extends AsyncDisposable {
  readonly clock: ManualClock
  readonly users: Users
  readonly tokens: UserTokens
  readonly authentication: Authentication
  /** Another process on the same database. */
  readonly elsewhere: Authentication
  /** The next verification waits for `gate` once its row is read. Resolves when it waits. */
  holdVerification(gate: Promise<void>): Promise<void>
  /** How often the slow hash was computed to verify. */
  verifications(): number
}

async function world(make: MakeDatabase): Promise<World> {
  const db = await make()
  const clock = manualClock()
  const slow = createPasswords(seededRandom())
  let verifications = 0
  let hold = async () => {}
  const passwords: Passwords = {
    ...slow,
    async verify(password, phc) {
      verifications++
      await hold()
      return slow.verify(password, phc)
    },
  }
  const { users, tokens, authentication, elsewhere } = identityServices(db, { clock, passwords })
  await users.create({ userId: 'root', name: 'Root', password: 'root password', admin: true }, 'system')
  await users.create({ userId: 'ann', name: 'Ann', password: 'ann:password' }, 'root')
  return {
    clock,
    users,
    ...{ tokens, authentication, elsewhere },
    verifications: () => verifications,
    holdVerification: (gate) =>
      new Promise((waiting) => {
        hold = () => {
          hold = async () => {}
          waiting()
          return gate
        }
      }),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  }
}
const basic = (userId: string, secret: string) => `Basic ${Buffer.from(`${userId}:${secret}`).toString('base64')}`
const ANN = { userId: 'ann', admin: false }
const unauthenticated = (error: unknown) => hasCode(error, 'UNAUTHENTICATED')

eachDatabase('authentication', (make) => {
  it('given no header, when authenticated, then the caller is anonymous', async () => {
    await using w = await world(make)
    assert.equal(await w.authentication.authenticate(undefined), ANONYMOUS)
    assert.equal(await w.authentication.authenticate(' '), ANONYMOUS)
  })

  it('given user and password, when authenticated, then the caller is that user, with a colon in the password too', async () => {
    await using w = await world(make)
    assert.deepEqual(await w.authentication.authenticate(basic('ann', 'ann:password')), ANN)
    assert.deepEqual(await w.authentication.authenticate(basic('root', 'root password')), {
      userId: 'root',
      admin: true,
    })
  })

  it('given anything else, when authenticated, then it is refused', async () => {
    await using w = await world(make)
    const headers = [
      basic('ann', 'wrong'),
      basic('ann', ''),
      basic('Ann', 'ann:password'),
      basic('bob', 'ann:password'),
      basic('', ''),
      basic('a\u0000b', 'x'),
      basic('anonymous', ''),
      'Basic',
      'Basic !!!',
      `Basic ${Buffer.from('no colon').toString('base64')}`,
      'Bearer nothing',
      'Bearer entrepot_nothing',
      'Platform eDp5',
      'Digest username="ann"',
    ]
    for (const header of headers) await assert.rejects(w.authentication.authenticate(header), unauthenticated, header)
  })

  it('given many equal logins at once and later, when authenticated, then the slow hash runs once a minute', async () => {
    await using w = await world(make)
    const login = () => w.authentication.authenticate(basic('ann', 'ann:password'))
    await Promise.all(Array.from({ length: 20 }, login))
    await login()
    assert.equal(w.verifications(), 1)
    await w.clock.advance(60_000)
    await login()
    assert.equal(w.verifications(), 2)
  })

  it('given a wrong password, when it is tried again, then nothing was remembered', async () => {
    await using w = await world(make)
    await assert.rejects(w.authentication.authenticate(basic('ann', 'wrong')), unauthenticated)
    await assert.rejects(w.authentication.authenticate(basic('ann', 'wrong')), unauthenticated)
    assert.equal(w.verifications(), 2)
  })

  it('given a token, when used as password or bearer, then it is its user, and no slow hash is needed', async () => {
    await using w = await world(make)
    const { token } = await w.tokens.create('ann', 'ci', null)
    assert.deepEqual(await w.authentication.authenticate(basic('ann', token)), ANN)
    assert.deepEqual(await w.authentication.authenticate(`Bearer ${token}`), ANN)
    assert.deepEqual(await w.authentication.authenticate(`bearer  ${token}`), ANN)
    assert.equal(w.verifications(), 0)
    await assert.rejects(w.authentication.authenticate(basic('root', token)), unauthenticated)
  })

  it('given a token that expires, when the time comes, then it is refused although it was remembered', async () => {
    await using w = await world(make)
    const { token } = await w.tokens.create('ann', 'ci', w.clock.now() + 1000)
    await w.authentication.authenticate(`Bearer ${token}`)
    await w.clock.advance(999)
    await w.authentication.authenticate(`Bearer ${token}`)
    await w.clock.advance(1)
    await assert.rejects(w.authentication.authenticate(`Bearer ${token}`), unauthenticated)
    await assert.rejects(w.authentication.authenticate(basic('ann', token)), unauthenticated)
  })

  const changes: readonly [string, (w: World) => Promise<void>][] = [
    ['the password is changed', (w) => w.users.changePassword('ann', 'ann:password', 'new password')],
    ['an administrator sets the password', (w) => w.users.update('ann', { password: 'new password' }, 'root')],
    ['the user is deleted', (w) => w.users.delete('ann')],
    [
      'the user is deleted and made again in the same millisecond',
      async (w) => {
        await w.users.delete('ann')
        await w.users.create({ userId: 'ann', name: 'Ann', password: 'new password' }, 'root')
      },
    ],
  ]
  for (const [title, change] of changes) {
    it(`given a remembered password, when ${title}, then it is refused at once, in another process too`, async () => {
      await using w = await world(make)
      const header = basic('ann', 'ann:password')
      await w.authentication.authenticate(header)
      await w.elsewhere.authenticate(header)
      await change(w)
      await assert.rejects(w.authentication.authenticate(header), unauthenticated)
      await assert.rejects(w.elsewhere.authenticate(header), unauthenticated)
    })
  }

  it('given a remembered token, when it is deleted, then it is refused at once and the password still holds', async () => {
    await using w = await world(make)
    const { token } = await w.tokens.create('ann', 'ci', null)
    for (const header of [basic('ann', token), `Bearer ${token}`]) await w.elsewhere.authenticate(header)
    await w.tokens.delete('ann', 'ci')
    for (const header of [basic('ann', token), `Bearer ${token}`]) {
      await assert.rejects(w.elsewhere.authenticate(header), unauthenticated)
    }
    assert.deepEqual(await w.elsewhere.authenticate(basic('ann', 'ann:password')), ANN)
  })

  it('given a login whose verification runs, when the password changes meanwhile, then it is refused, and so is who joined it', async () => {
    await using w = await world(make)
    const { promise: changed, resolve: goOn } = Promise.withResolvers<void>()
    const started = w.holdVerification(changed)
    const login = () => w.authentication.authenticate(basic('ann', 'ann:password'))
    const first = assert.rejects(login(), unauthenticated)
    await started
    await w.users.update('ann', { password: 'new password' }, 'root')
    const second = assert.rejects(login(), unauthenticated)
    goOn()
    await Promise.all([first, second])
  })

  it('given a locked user, when logging in, then it is forbidden, and allowed again once unlocked', async () => {
    await using w = await world(make)
    const header = basic('ann', 'ann:password')
    await w.authentication.authenticate(header)
    await w.users.update('ann', { locked: true }, 'root')
    await assert.rejects(w.authentication.authenticate(header), (error) => hasCode(error, 'PERMISSION_DENIED'))
    await assert.rejects(w.authentication.authenticate(basic('ann', 'wrong')), unauthenticated)
    await w.users.update('ann', { locked: false }, 'root')
    assert.deepEqual(await w.authentication.authenticate(header), ANN)
  })

  it('given a remembered login, when the user becomes an administrator, then the next request knows', async () => {
    await using w = await world(make)
    const header = basic('ann', 'ann:password')
    await w.authentication.authenticate(header)
    await w.users.update('ann', { admin: true }, 'root')
    assert.deepEqual(await w.authentication.authenticate(header), { userId: 'ann', admin: true })
  })

  it('given a user who must wait after wrong passwords, when remembered, by token or elsewhere, then the login goes on', async () => {
    await using w = await world(make)
    const { token } = await w.tokens.create('ann', 'ci', null)
    const from = (secret: string, address: string) => w.authentication.authenticate(basic('ann', secret), { address })
    const throttled = (error: unknown) => hasCode(error, 'TOO_MANY_REQUESTS')
    await from('ann:password', '1.1.1.1')
    for (let guess = 0; guess < 5; guess++) await assert.rejects(from(`wrong ${guess}`, '1.1.1.1'), unauthenticated)
    const verifications = w.verifications()
    await assert.rejects(from('wrong again', '1.1.1.1'), throttled)
    assert.equal(w.verifications(), verifications)
    assert.deepEqual(await from('ann:password', '1.1.1.1'), ANN)
    assert.deepEqual(await from(token, '1.1.1.1'), ANN)
    assert.deepEqual(await from('ann:password', '2.2.2.2'), ANN)
    await w.clock.advance(60_000)
    assert.deepEqual(await from('ann:password', '1.1.1.1'), ANN)
  })

  it('given wrong tokens from one address, when there are too many, then wrong ones wait and right ones do not', async () => {
    await using w = await world(make)
    const { token } = await w.tokens.create('ann', 'ci', null)
    const bearer = (secret: string) => w.authentication.authenticate(`Bearer ${secret}`, { address: '1.1.1.1' })
    for (let guess = 0; guess < 100; guess++) await assert.rejects(bearer(`entrepot_${guess}`), unauthenticated)
    await assert.rejects(bearer('entrepot_more'), (error) => hasCode(error, 'TOO_MANY_REQUESTS'))
    assert.deepEqual(await bearer(token), ANN)
  })

  it('given a password that is changed, when a token of the user is used, then it still holds', async () => {
    await using w = await world(make)
    const { token } = await w.tokens.create('ann', 'ci', null)
    await w.users.changePassword('ann', 'ann:password', 'new password')
    assert.deepEqual(await w.authentication.authenticate(`Bearer ${token}`), ANN)
  })
})
