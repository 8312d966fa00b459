import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { seededRandom } from '../../test/helpers/ids.ts'
import { tempDir } from '../../test/helpers/temp.ts'
import { hasCode } from '../core/errors.ts'
import { configuredKeys, keysInFolder } from './bearer-keys.ts'

const DAY_MS = 86_400_000

async function folder() {
  const dir = await tempDir()
  const clock = manualClock()
  let seed = 0
  return {
    ...{ dir, clock },
    /** Another process on the same folder. */
    open: () => keysInFolder({ path: dir.path, clock, random: seededRandom(++seed) }),
    names: async () => (await readdir(dir.path)).sort(),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}
const pemOf = (namedCurve: string) =>
  generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

describe('keys of bearer tokens in a folder', () => {
  it('given an empty folder, when a key is asked for, then one is made for its owner alone, and found after a restart', async () => {
    await using f = await folder()
    const made = await f.open().signing()
    const [name] = await f.names()
    assert.equal((await stat(f.dir.file(name!))).mode & 0o777, 0o600)
    const again = await f.open().signing()
    assert.equal(again.id, made.id)
    assert.deepEqual(await f.names(), [name])
  })

  it('given a key that is 90 days old, when keys are rotated, then a new one signs and the old one verifies for 32 days more', async () => {
    await using f = await folder()
    const keys = f.open()
    const first = await keys.signing()
    await keys.rotate()
    assert.equal((await keys.signing()).id, first.id)
    await f.clock.advance(90 * DAY_MS)
    await keys.rotate()
    const second = await keys.signing()
    assert.notEqual(second.id, first.id)
    assert.equal((await keys.find(first.id))?.id, first.id)
    await f.clock.advance(32 * DAY_MS)
    await keys.rotate()
    assert.equal(await keys.find(first.id), undefined)
    assert.equal((await keys.signing()).id, second.id)
    assert.equal((await f.names()).length, 1)
  })

  it('given a key that another process made, when a token of it comes, then it is found, and looked for no more than every 5 s', async () => {
    await using f = await folder()
    const here = f.open()
    await here.signing()
    await f.clock.advance(90 * DAY_MS)
    const there = f.open()
    await here.find('unknown')
    await there.rotate()
    const made = await there.signing()
    assert.equal(await here.find(made.id), undefined)
    await f.clock.advance(5_000)
    assert.equal((await here.find(made.id))?.id, made.id)
  })

  it('given a file that is no key, when a key is asked for, then the refusal names the file', async () => {
    await using f = await folder()
    await writeFile(f.dir.file('token-00000000000001-00000000.pem'), 'nothing')
    await assert.rejects(
      f.open().signing(),
      (error) => hasCode(error, 'SYSTEM_ERROR') && /token-0+1/.test(error.message),
    )
  })
})

describe('keys of bearer tokens in the configuration', () => {
  it('given two keys, when asked, then the first signs and both verify', async () => {
    const [first, second] = [pemOf('P-256'), pemOf('P-256')]
    const keys = configuredKeys(`${first}${second.replaceAll('\n', '\\n')}`)
    const old = await configuredKeys(second).signing()
    assert.equal((await keys.signing()).id, (await configuredKeys(first).signing()).id)
    assert.equal((await keys.find(old.id))?.id, old.id)
    assert.equal(await keys.find('unknown'), undefined)
  })

  for (const [title, text] of [
    ['no key', 'secret'],
    ['a key of another curve', pemOf('P-384')],
    ['half a key', pemOf('P-256').replace(/.{40}\n/, '\n')],
  ] as const) {
    it(`given ${title}, when read, then it is refused and not shown`, () => {
      assert.throws(
        () => configuredKeys(text),
        (error) => hasCode(error, 'PARAMETER_INVALID') && !error.message.includes(text),
      )
    })
  }
})
