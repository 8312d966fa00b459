import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { identityServices, QUICK_PASSWORDS, TEST_KEYS } from '../../test/helpers/identity.ts'
import { hasCode } from '../core/errors.ts'
import { createRefreshTokens, REFRESH_TOKEN_S } from './refresh-tokens.ts'

async function world(make: MakeDatabase) {
  const db = await make()
  const services = identityServices(db, { passwords: QUICK_PASSWORDS })
  await services.users.create({ userId: 'ann', name: 'Ann', password: 'ann password' }, 'system')
  const deps = { db, keys: TEST_KEYS, clock: services.clock }
  const refresh = createRefreshTokens({ ...deps, issuer: 'test' })
  const elsewhere = createRefreshTokens({ ...deps, issuer: 'another cluster' })
  return { ...services, refresh, elsewhere, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}

eachDatabase('refresh tokens', (make) => {
  it('given one of a user, when verified, then it is that user until 30 days are over, and nobody for another cluster', async () => {
    await using w = await world(make)
    const token = (await w.refresh.issue('ann'))!
    assert.deepEqual(await w.refresh.verify(token), { userId: 'ann', admin: false })
    assert.equal(await w.elsewhere.verify(token), undefined)
    await w.clock.advance(REFRESH_TOKEN_S * 1000 - 1)
    assert.equal((await w.refresh.verify(token))?.userId, 'ann')
    await w.clock.advance(1)
    assert.equal(await w.refresh.verify(token), undefined)
  })

  it('given one, when used as a bearer token, then it is refused; and a bearer token refreshes nothing', async () => {
    await using w = await world(make)
    const token = await w.refresh.issue('ann')
    await assert.rejects(w.authentication.authenticate(`Bearer ${token}`), (error) => hasCode(error, 'UNAUTHENTICATED'))
    const bearer = await w.bearerTokens.issue({ userId: 'ann', scopes: [], expiresInS: 60 })
    assert.equal(await w.refresh.verify(bearer.token), undefined)
  })

  const ends: readonly [string, (w: Awaited<ReturnType<typeof world>>) => Promise<unknown>][] = [
    ['the user is locked', (w) => w.users.update('ann', { locked: true }, 'root')],
    ['the user is deleted', (w) => w.users.delete('ann')],
    ['the password is another one', (w) => w.users.update('ann', { password: 'ann new password' }, 'root')],
  ]
  for (const [title, end] of ends) {
    it(`given one, when ${title}, then it is good for nothing`, async () => {
      await using w = await world(make)
      const token = (await w.refresh.issue('ann'))!
      await end(w)
      assert.equal(await w.refresh.verify(token), undefined)
    })
  }

  it('given nobody of that name, when one is asked for, then there is none', async () => {
    await using w = await world(make)
    assert.equal(await w.refresh.issue('nobody'), undefined)
  })
})
