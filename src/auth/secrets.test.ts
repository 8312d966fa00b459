import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { seededRandom } from '../../test/helpers/ids.ts'
import { tempDir } from '../../test/helpers/temp.ts'
import { hasCode } from '../core/errors.ts'
import { loadKeyFile } from './key-file.ts'
import { createSecrets, parseSecretKey } from './secrets.ts'

const random = seededRandom()

describe('secrets', () => {
  const secrets = createSecrets(random.bytes(32), random)

  it('given a secret, when it is encrypted, then it can be read in its place and looks different each time', () => {
    for (const plain of ['', 'password', 'p\u00e4ssw\u00f6rd \u{1f511}', 'x'.repeat(10_000)]) {
      const text = secrets.encrypt(plain, 'cluster/1/password')
      assert.match(text, /^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$/)
      assert.notEqual(secrets.encrypt(plain, 'cluster/1/password'), text)
      assert.equal(secrets.decrypt(text, 'cluster/1/password'), plain)
    }
  })

  it('given an encrypted secret, when it is moved, changed or cut, then it cannot be read', () => {
    const text = secrets.encrypt('password', 'cluster/1/password')
    const unreadable = (changed: string, place: string) =>
      assert.throws(
        () => secrets.decrypt(changed, place),
        (error) => hasCode(error, 'SYSTEM_ERROR') && !/password$/.test(error.message),
      )
    unreadable(text, 'cluster/2/password')
    unreadable(text.slice(0, -2), 'cluster/1/password')
    unreadable(text.slice(0, 20), 'cluster/1/password')
    unreadable(`${text.slice(0, -1)}${text.endsWith('A') ? 'Q' : 'A'}`, 'cluster/1/password')
    unreadable(text.replace('v1', 'v9'), 'cluster/1/password')
    unreadable('', 'cluster/1/password')
  })

  it('given another key, when a secret is read, then the message says so and what to do', () => {
    const others = createSecrets(random.bytes(32), random)
    assert.throws(() => others.decrypt(secrets.encrypt('x', 'p'), 'p'), /another key: restore the key/)
  })
})

describe('secret key', () => {
  it('given 32 bytes in hex, base64 or base64url, when parsed, then they are the key', () => {
    const key = Buffer.from('fb'.repeat(32), 'hex')
    for (const form of [
      key.toString('hex'),
      key.toString('hex').toUpperCase(),
      key.toString('base64'),
      key.toString('base64url'),
    ]) {
      assert.deepEqual(parseSecretKey(form), key)
    }
  })

  it('given a passphrase, when parsed twice, then it is the same key of 32 bytes', () => {
    const key = parseSecretKey('a rather long passphrase')
    assert.equal(key.length, 32)
    assert.deepEqual(parseSecretKey('a rather long passphrase'), key)
    assert.notDeepEqual(parseSecretKey('a rather long passphrasf'), key)
  })

  it('given a short passphrase, when parsed, then it is refused and not shown', () => {
    assert.throws(
      () => parseSecretKey('hunter2'),
      (error) => hasCode(error, 'PARAMETER_INVALID') && !error.message.includes('hunter2'),
    )
  })
})

describe('key file', () => {
  it('given eight starts at once, when they load it, then all have the same key and the file is for its owner alone', async () => {
    await using dir = await tempDir()
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadKeyFile(dir.file('secret.key'), random)))
    for (const key of keys) assert.deepEqual(key, keys[0])
    assert.equal((await stat(dir.file('secret.key'))).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(dir.path), ['secret.key'])
    assert.equal((await readFile(dir.file('secret.key'), 'utf8')).trim(), keys[0]!.toString('hex'))
  })

  it('given a file that holds no key, when loaded, then it is refused and left as it is', async () => {
    await using dir = await tempDir()
    await writeFile(dir.file('secret.key'), 'oops\n')
    await assert.rejects(loadKeyFile(dir.file('secret.key'), random), /is damaged/)
    assert.equal(await readFile(dir.file('secret.key'), 'utf8'), 'oops\n')
  })
})
