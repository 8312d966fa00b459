import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../../test/helpers/ids.ts'
import { hasCode } from '../core/errors.ts'
import { createPasswords } from './passwords.ts'

describe('passwords', () => {
  const passwords = createPasswords(seededRandom())

  it('given a password, when it is hashed twice, then both verify, differ and are argon2id with 19 MiB', async () => {
    const [one, two] = [await passwords.hash('correct horse'), await passwords.hash('correct horse')]
    assert.notEqual(one, two)
    assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.equal(await passwords.verify('correct horse', one), true)
    assert.equal(await passwords.verify('correct horse', two), true)
    assert.equal(await passwords.verify('correct hors', one), false)
    assert.equal(await passwords.verify('', one), false)
  })

  it('given a character composed in two ways, when it is typed the other way, then it is the same password', async () => {
    assert.equal(await passwords.verify('cafe\u0301 au lait', await passwords.hash('caf\u00e9 au lait')), true)
  })

  it('given no such user, when a password is verified, then it is wrong', async () => {
    assert.equal(await passwords.verify('correct horse', undefined), false)
  })

  it('given a hash made with other costs, when it is verified, then those costs are used', async () => {
    const { argon2Sync } = await import('node:crypto')
    const salt = Buffer.alloc(16, 7)
    const cost = { memory: 64, passes: 1, parallelism: 1, tagLength: 16 }
    const tag = argon2Sync('argon2id', { ...cost, nonce: salt, message: 'x' })
    const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
    assert.equal(await passwords.verify('x', `$argon2id$v=19$m=64,t=1,p=1$${text(salt)}$${text(tag)}`), true)
  })

  it('given more logins at once than can be worked on, when one more comes, then it is told to come later', async () => {
    const cheap = '$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA'
    const results = await Promise.allSettled(Array.from({ length: 250 }, () => passwords.verify('x', cheap)))
    const refused = results.filter((result) => result.status === 'rejected')
    assert.equal(refused.length, 50)
    for (const { reason } of refused) assert.ok(hasCode(reason, 'TOO_MANY_REQUESTS'))
  })
})
