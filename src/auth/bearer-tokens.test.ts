import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SignJWT } from 'jose'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { basic, identityServices, QUICK_PASSWORDS, TEST_KEYS } from '../../test/helpers/identity.ts'
import { hasCode } from '../core/errors.ts'
import { decide, type Resource } from './access.ts'
import { createBearerTokens } from './bearer-tokens.ts'
import type { Action } from './grants.ts'
import { ANONYMOUS } from './principal.ts'

async function world(make: MakeDatabase) {
  const db = await make()
  const services = identityServices(db, { passwords: QUICK_PASSWORDS })
  await services.users.create({ userId: 'root', name: 'Root', password: 'root password', admin: true }, 'system')
  await services.users.create({ userId: 'ann', name: 'Ann', password: 'ann password' }, 'root')
  return { db, ...services, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}
const SCOPES = [{ repository: { project: 'p', repo: 'r', name: 'app' }, actions: ['READ'] }] as const
const repository = { kind: 'repository', projectId: 'p', repoName: 'r', id: 1, public: false, extent: 'node' } as const
const inApp = { ...repository, path: '/app/x' } as unknown as Resource
const outside = { ...repository, path: '/other' } as unknown as Resource
const unauthenticated = (error: unknown) => hasCode(error, 'UNAUTHENTICATED')

eachDatabase('bearer tokens', (make) => {
  it('given a token of an administrator, when used, then it is that user and good for its scope only', async () => {
    await using w = await world(make)
    const { token, expiresInS, issuedAt } = await w.bearerTokens.issue({
      userId: 'root',
      scopes: SCOPES,
      expiresInS: 300,
    })
    assert.deepEqual([expiresInS, issuedAt], [300, w.clock.now()])
    for (const authentication of [w.authentication, w.elsewhere]) {
      const principal = await authentication.authenticate(`Bearer ${token}`)
      assert.deepEqual([principal.userId, principal.admin], ['root', true])
      const may = (action: Action, resource: Resource) => decide(principal, action, resource)
      assert.equal(may('DOWNLOAD', inApp), 'allow')
      assert.equal(may('WRITE', inApp), 'deny')
      assert.equal(may('READ', outside), 'deny')
      assert.equal(may('MANAGE', { kind: 'system' }), 'deny')
      assert.equal(may('MANAGE', { kind: 'account', userId: 'root' }), 'deny')
    }
  })

  it('given a token, when its time has come, then it is refused although it was remembered', async () => {
    await using w = await world(make)
    const { token } = await w.bearerTokens.issue({ userId: 'ann', scopes: SCOPES, expiresInS: 10 })
    await w.authentication.authenticate(`Bearer ${token}`)
    await w.clock.advance(9_999)
    await w.authentication.authenticate(`Bearer ${token}`)
    await w.clock.advance(1)
    for (const { authenticate } of [w.authentication, w.elsewhere]) {
      await assert.rejects(authenticate(`Bearer ${token}`), unauthenticated)
    }
  })

  const ends: readonly [string, (w: Awaited<ReturnType<typeof world>>) => Promise<unknown>][] = [
    ['the user is locked', (w) => w.users.update('ann', { locked: true }, 'root')],
    ['the user is deleted', (w) => w.users.delete('ann')],
    ['the password changes', (w) => w.users.changePassword('ann', 'ann password', 'new password')],
    [
      'the user is deleted and made again',
      async (w) => {
        await w.users.delete('ann')
        await w.clock.advance(1)
        await w.users.create({ userId: 'ann', name: 'Ann', password: 'ann password' }, 'root')
      },
    ],
  ]
  for (const [title, change] of ends) {
    it(`given a remembered token, when ${title}, then it ends at once, in another process too`, async () => {
      await using w = await world(make)
      const { token } = await w.bearerTokens.issue({ userId: 'ann', scopes: SCOPES, expiresInS: 300 })
      await w.authentication.authenticate(`Bearer ${token}`)
      await w.elsewhere.authenticate(`Bearer ${token}`)
      await change(w)
      for (const { authenticate } of [w.authentication, w.elsewhere]) {
        await assert.rejects(authenticate(`Bearer ${token}`), unauthenticated)
      }
    })
  }

  it('given a token of nobody in particular, when used, then the caller is anonymous and still limited', async () => {
    await using w = await world(make)
    const { token } = await w.bearerTokens.issue({ userId: ANONYMOUS.userId, scopes: SCOPES, expiresInS: 300 })
    for (let round = 0; round < 2; round++) {
      const principal = await w.authentication.authenticate(`Bearer ${token}`)
      assert.equal(principal.userId, ANONYMOUS.userId)
      const open = (resource: Resource) => ({ ...resource, public: true }) as Resource
      assert.equal(decide(principal, 'READ', open(inApp)), 'allow')
      assert.equal(decide(principal, 'READ', open(outside)), 'deny')
    }
  })

  it('given tokens that are not ours or were changed, when used, then they are refused', async () => {
    await using w = await world(make)
    const { token } = await w.bearerTokens.issue({ userId: 'ann', scopes: SCOPES, expiresInS: 300 })
    const [header = '', payload = '', signature = ''] = token.split('.')
    const widened = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), sub: 'root' }
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const key = await TEST_KEYS.signing()
    const signed = (kid: string, issuer: string) =>
      new SignJWT({ scopes: [], stamp: w.clock.now() })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer(issuer)
        .setAudience('entrepot')
        .setSubject('ann')
        .setExpirationTime(4_000_000_000)
        .sign(key.privateKey)
    const wrong = [
      [header, encode(widened), signature].join('.'),
      [encode({ alg: 'none', kid: key.id }), encode(widened), ''].join('.'),
      [encode({ alg: 'none', kid: key.id }), encode(widened), 'x'].join('.'),
      [encode({ alg: 'HS256', kid: key.id }), payload, signature].join('.'),
      [header, payload, signature.slice(0, -4)].join('.'),
      'a.b.c',
      await signed('unknown', 'here'),
      await signed(key.id, 'another cluster'),
      `${token}.${token}`,
    ]
    for (const text of wrong)
      await assert.rejects(w.authentication.authenticate(`Bearer ${text}`), unauthenticated, text)
    assert.equal((await w.authentication.authenticate(`Bearer ${await signed(key.id, 'here')}`)).userId, 'ann')
    await assert.rejects(w.authentication.authenticate(basic('ann', token)), unauthenticated)
  })

  it('given bad requests, when a token is asked for, then each is refused', async () => {
    await using w = await world(make)
    const issue = (userId: string, expiresInS: number) => w.bearerTokens.issue({ userId, scopes: SCOPES, expiresInS })
    await assert.rejects(issue('nobody', 60), (error) => hasCode(error, 'USER_NOT_FOUND'))
    await w.users.update('ann', { locked: true }, 'root')
    await assert.rejects(issue('ann', 60), (error) => hasCode(error, 'PERMISSION_DENIED'))
    for (const seconds of [0, 0.5, 86_401]) {
      await assert.rejects(issue('root', seconds), (error) => hasCode(error, 'PARAMETER_INVALID'))
    }
  })

  it('given a token signed with a key that is gone, when used, then it is refused', async () => {
    await using w = await world(make)
    const keys = { ...TEST_KEYS, find: async () => undefined }
    const { token } = await w.bearerTokens.issue({ userId: 'ann', scopes: SCOPES, expiresInS: 300 })
    const forgetful = createBearerTokens({ db: w.db, keys, clock: w.clock, issuer: 'here' })
    assert.equal(await forgetful.verify(token), undefined)
  })
})
