import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '../../../test/helpers/ids.ts'
import { createSecrets } from '../../auth/secrets.ts'
import { createSecretCarrier, passphraseKeyOf } from './secret-carrier.ts'

const random = seededRandom()
const [ours, theirs] = [createSecrets(random.bytes(32), random), createSecrets(random.bytes(32), random)]
const PLACE = 'cluster/1/password'
const OTHER = 'cluster/2/password'
const stored = ours.encrypt('s3cret-of-ann', PLACE)

describe('secrets on their way through a backup', () => {
  it('given no passphrase, when a secret goes to another place under the same key, then it can be read there', () => {
    const carrier = createSecretCarrier({ secrets: ours, passphraseKey: undefined })
    const packed = carrier.pack(stored, PLACE)
    assert.ok(packed.endsWith(stored))
    assert.equal(ours.decrypt(carrier.unpack(packed, OTHER)!, OTHER), 's3cret-of-ann')
  })

  it('given no passphrase, when a server with another key unpacks it, then it has none', () => {
    const packed = createSecretCarrier({ secrets: ours, passphraseKey: undefined }).pack(stored, PLACE)
    assert.equal(createSecretCarrier({ secrets: theirs, passphraseKey: undefined }).unpack(packed, OTHER), undefined)
  })

  it('given a passphrase, when a server with another key knows it, then the secret is under its own key', async () => {
    const passphraseKey = await passphraseKeyOf('correct horse battery')
    const packed = createSecretCarrier({ secrets: ours, passphraseKey }).pack(stored, PLACE)
    assert.equal(packed.includes('s3cret'), false)
    const carrier = createSecretCarrier({ secrets: theirs, passphraseKey })
    assert.equal(theirs.decrypt(carrier.unpack(packed, OTHER)!, OTHER), 's3cret-of-ann')
    assert.equal(createSecretCarrier({ secrets: ours, passphraseKey }).pack(stored, PLACE), packed, 'it did not change')
  })

  it('given a passphrase, when it is another one or none, then the secret cannot be unpacked', async () => {
    const passphraseKey = await passphraseKeyOf('correct horse battery')
    const packed = createSecretCarrier({ secrets: ours, passphraseKey }).pack(stored, PLACE)
    const wrong = await passphraseKeyOf('another passphrase')
    assert.equal(createSecretCarrier({ secrets: ours, passphraseKey: wrong }).unpack(packed, PLACE), undefined)
    assert.equal(createSecretCarrier({ secrets: ours, passphraseKey: undefined }).unpack(packed, PLACE), undefined)
  })

  it('given a backup of before the passphrase, when it is unpacked with one, then the server key opens it', async () => {
    const packed = createSecretCarrier({ secrets: ours, passphraseKey: undefined }).pack(stored, PLACE)
    const carrier = createSecretCarrier({
      secrets: ours,
      passphraseKey: await passphraseKeyOf('correct horse battery'),
    })
    assert.equal(ours.decrypt(carrier.unpack(packed, OTHER)!, OTHER), 's3cret-of-ann')
  })

  it('given packed text, when anything of it is changed or moved, then it cannot be unpacked', async () => {
    const passphraseKey = await passphraseKeyOf('correct horse battery')
    const elsewhere = Buffer.from(OTHER).toString('base64url')
    for (const key of [undefined, passphraseKey]) {
      const carrier = createSecretCarrier({ secrets: ours, passphraseKey: key })
      const [kind, version, place, ...body] = carrier.pack(stored, PLACE).split('.')
      const text = body.join('.')
      for (const changed of [
        [kind, version, elsewhere, text],
        [kind, version, place, `${text.slice(0, -2)}${text.endsWith('AA') ? 'BB' : 'AA'}`],
        [kind, version, place, text.slice(0, 12)],
        [kind, version, place],
        ['other', version, place, text],
      ]) {
        assert.equal(carrier.unpack(changed.join('.'), PLACE), undefined)
      }
      assert.equal(carrier.unpack('', PLACE), undefined)
      assert.equal(carrier.unpack('hunter2', PLACE), undefined)
    }
  })

  it('given a stored secret that the server cannot read itself, when it is packed, then it stays as it is', async () => {
    const carrier = createSecretCarrier({
      secrets: theirs,
      passphraseKey: await passphraseKeyOf('correct horse battery'),
    })
    assert.ok(carrier.pack(stored, PLACE).endsWith(stored))
  })
})
