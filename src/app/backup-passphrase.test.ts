import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { tempDir } from '../../test/helpers/temp.ts'
import { readBackupPassphrase } from './backup-passphrase.ts'

it('given a passphrase as a setting or in a file, when it is read, then both give the same key, and none is none', async () => {
  await using dir = await tempDir()
  await writeFile(dir.file('passphrase'), 'correct horse \r\n', { mode: 0o600 })
  const [one, other] = [
    await readBackupPassphrase({ passphrase: 'correct horse ', passphraseFile: undefined }),
    await readBackupPassphrase({ passphrase: undefined, passphraseFile: dir.file('passphrase') }),
  ]
  assert.equal(other?.text, 'correct horse ')
  assert.deepEqual(one?.key, other?.key)
  assert.equal(await readBackupPassphrase({ passphrase: undefined, passphraseFile: undefined }), undefined)
})

it('given both, or a file that is empty or absent, when it is read, then the start is refused and nothing secret is told', async () => {
  await using dir = await tempDir()
  await writeFile(dir.file('empty'), '\n', { mode: 0o600 })
  for (const [passphrase, name] of [
    ['secret', 'empty'],
    [undefined, 'empty'],
    [undefined, 'absent'],
  ] as const) {
    const read = readBackupPassphrase({ passphrase, passphraseFile: dir.file(name) })
    await assert.rejects(read, ({ code, message }) => code === 'PARAMETER_INVALID' && !message.includes('secret'))
  }
})

it('given a passphrase that is short, or a file that others may read, when it is read, then the start is refused with words', async () => {
  await using dir = await tempDir()
  await writeFile(dir.file('short'), 'only eleven\n', { mode: 0o600 })
  for (const mode of [0o640, 0o604]) {
    await writeFile(dir.file(`open-${mode}`), 'correct horse battery')
    await chmod(dir.file(`open-${mode}`), mode)
  }
  const read = (passphrase: string | undefined, name?: string) =>
    readBackupPassphrase({ passphrase, passphraseFile: name && dir.file(name) })
  await assert.rejects(read('only eleven'), /backup\.passphrase\b.*12 characters or more/)
  await assert.rejects(read(undefined, 'short'), /backup\.passphraseFile.*12 characters or more/)
  await assert.rejects(read(undefined, `open-${0o640}`), /others may read the file \(mode 0640\): chmod 600/)
  await assert.rejects(read(undefined, `open-${0o604}`), /mode 0604/)
})

it('given one passphrase typed on two systems, when it is read, then it is the same text and the same key', async () => {
  const [composed, decomposed] = ['Käthes Straße 17', 'Ka\u0308thes Straße １７']
  const [one, other] = [
    await readBackupPassphrase({ passphrase: composed, passphraseFile: undefined }),
    await readBackupPassphrase({ passphrase: decomposed, passphraseFile: undefined }),
  ]
  assert.equal(one?.text, other?.text)
  assert.deepEqual(one?.key, other?.key)
})
