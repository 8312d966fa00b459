import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { type IdentityOptions, identityServices, platform, QUICK_PASSWORDS } from '../../test/helpers/identity.ts'
import { hasCode } from '../core/errors.ts'
import { decide } from './access.ts'
import type { NewCredential, NewPlatformAccount } from './platform-accounts.ts'
import { ANONYMOUS } from './principal.ts'

async function world(make: MakeDatabase, options: IdentityOptions = {}) {
  const db = await make()
  const services = identityServices(db, { passwords: QUICK_PASSWORDS, ...options })
  const { users, accounts, authentication } = services
  await users.create({ userId: 'root', name: 'Root', password: 'root password', admin: true }, 'system')
  await users.create({ userId: 'ann', name: 'Ann', password: 'ann password' }, 'root')
  const login = (pair: Pick<NewCredential, 'accessKey' | 'secretKey'>, actsFor?: string) =>
    authentication.authenticate(platform(pair), { address: '1.1.1.1', actsFor, traceId: 'trace' })
  return {
    ...services,
    login,
    account: (account: Partial<NewPlatformAccount> = {}) => accounts.create({ appId: 'app', ...account }, 'root'),
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  }
}
const unauthenticated = (error: unknown) => hasCode(error, 'UNAUTHENTICATED')
const denied = (error: unknown) => hasCode(error, 'PERMISSION_DENIED')

eachDatabase('platform logins', (make) => {
  it('given a key pair, when it acts for a user, then it is that user with the application in tow', async () => {
    await using w = await world(make)
    const pair = await w.account()
    assert.deepEqual(await w.login(pair, 'ann'), { userId: 'ann', admin: false, appId: 'app' })
    assert.deepEqual(await w.login(pair, 'root'), { userId: 'root', admin: true, appId: 'app' })
  })

  it('given a key pair without a user, when used, then the caller is anonymous with the identity of the application', async () => {
    await using w = await world(make)
    const pair = await w.account()
    for (const actsFor of [undefined, '', 'anonymous']) {
      const principal = await w.login(pair, actsFor)
      assert.deepEqual(principal, { ...ANONYMOUS, appId: 'app' })
      assert.equal(decide(principal, 'MANAGE', { kind: 'system' }), 'login')
    }
  })

  it('given an account of scope SYSTEM without a user, when used, then it manages in its own name and reads no artifact', async () => {
    await using w = await world(make)
    const principal = await w.login(await w.account({ scope: ['SYSTEM'] }))
    assert.equal(principal.userId, 'app:app')
    assert.equal(decide(principal, 'MANAGE', { kind: 'system' }), 'allow')
    assert.equal(decide(principal, 'MANAGE', { kind: 'account', userId: 'ann' }), 'allow')
    assert.equal(decide(principal, 'VIEW', { kind: 'project', projectId: 'p' }), 'deny')
  })

  it('given an account limited to projects, when it acts for an administrator, then the limit holds, SYSTEM or not', async () => {
    await using w = await world(make)
    const projectRules = [{ operation: 'IN', values: ['p'] }] as const
    const pair = await w.account({ scope: ['SYSTEM'], projectRules })
    const principal = await w.login(pair, 'root')
    assert.equal(decide(principal, 'MANAGE', { kind: 'project', projectId: 'p' }), 'allow')
    assert.equal(decide(principal, 'MANAGE', { kind: 'project', projectId: 'q' }), 'deny')
    assert.equal(decide(principal, 'MANAGE', { kind: 'system' }), 'deny')
    assert.equal((await w.login(pair)).userId, ANONYMOUS.userId)
  })

  it('given a wrong pair, a disabled one, a locked account or a deleted one, when used, then it is refused at once', async () => {
    await using w = await world(make)
    const pair = await w.account()
    const { accessKey } = pair
    await assert.rejects(w.login({ ...pair, secretKey: 'wrong' }, 'ann'), unauthenticated)
    await assert.rejects(w.login({ ...pair, accessKey: 'wrong' }, 'ann'), unauthenticated)
    await w.accounts.setStatus('app', accessKey, 'DISABLE')
    await assert.rejects(w.login(pair, 'ann'), unauthenticated)
    await w.accounts.setStatus('app', accessKey, 'ENABLE')
    await w.login(pair, 'ann')
    await w.accounts.update('app', { locked: true }, 'root')
    await assert.rejects(w.login(pair, 'ann'), unauthenticated)
    await w.accounts.update('app', { locked: false }, 'root')
    await w.accounts.deleteCredential('app', accessKey)
    await assert.rejects(w.login(pair, 'ann'), unauthenticated)
    const second = await w.accounts.createCredential('app')
    await w.login(second, 'ann')
    await w.accounts.delete('app')
    await assert.rejects(w.login(second, 'ann'), unauthenticated)
  })

  it('given a locked user, when an account acts for it, then it is denied', async () => {
    await using w = await world(make)
    const pair = await w.account()
    await w.users.update('ann', { locked: true }, 'root')
    await assert.rejects(w.login(pair, 'ann'), denied)
  })

  it('given a user that nobody made, when named many times at once, then it is made once, without rights, and that is in the audit log', async () => {
    await using w = await world(make)
    const pair = await w.account()
    const principals = await Promise.all(Array.from({ length: 5 }, () => w.login(pair, 'new.user')))
    for (const principal of principals) assert.deepEqual(principal, { userId: 'new.user', admin: false, appId: 'app' })
    assert.equal((await w.users.get('new.user')).createdBy, 'app:app')
    const { records } = await w.audit.page({ appId: 'app' }, { pageNumber: 1, pageSize: 10 })
    assert.deepEqual(
      records.map(({ userId, resource, address, traceId }) => [userId, resource, address, traceId]),
      [['app:app', 'userId=new.user', '1.1.1.1', 'trace']],
    )
  })

  it('given the setting against it, when an unknown user is named, then it is denied and nobody is made', async () => {
    await using w = await world(make, { unknownUsers: 'refuse' })
    const pair = await w.account()
    await assert.rejects(w.login(pair, 'new.user'), denied)
    assert.equal(await w.users.find('new.user'), undefined)
  })

  it('given a name that is no user id, when it is acted for, then the header is called invalid', async () => {
    await using w = await world(make)
    const pair = await w.account()
    for (const name of ['system', 'a:b', 'app:app', 'ü', 'x'.repeat(65)]) {
      await assert.rejects(w.login(pair, name), (error) => hasCode(error, 'PARAMETER_INVALID'), name)
    }
  })

  it('given many wrong secrets for a key, when the right one comes from the same address, then it is let in', async () => {
    await using w = await world(make)
    const pair = await w.account()
    for (let guess = 0; guess < 5; guess++) {
      await assert.rejects(w.login({ ...pair, secretKey: `${guess}` }, 'ann'), unauthenticated)
    }
    await assert.rejects(w.login({ ...pair, secretKey: 'more' }, 'ann'), (error) => hasCode(error, 'TOO_MANY_REQUESTS'))
    assert.equal((await w.login(pair, 'ann')).userId, 'ann')
  })

  it('given Basic credentials, when X-BKREPO-UID names another user, then it changes nothing', async () => {
    await using w = await world(make)
    const header = `Basic ${Buffer.from('ann:ann password').toString('base64')}`
    assert.deepEqual(await w.authentication.authenticate(header, { actsFor: 'root' }), { userId: 'ann', admin: false })
  })
})
