import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { tempDir } from '../../test/helpers/temp.ts'
import { readBackupPassphrase } from './backup-passphrase.ts'

it('given a passphrase as a setting or in a file, when it is read, then both give the same key, and none is none', async () => {
  await using dir = await tempDir()
  await writeFile(dir.file('passphrase'), 'correct horse \r\n')
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
  await writeFile(dir.file('empty'), '\n')
  for (const [passphrase, name] of [
    ['secret', 'empty'],
    [undefined, 'empty'],
    [undefined, 'absent'],
  ] as const) {
    const read = readBackupPassphrase({ passphrase, passphraseFile: dir.file(name) })
    await assert.rejects(read, ({ code, message }) => code === 'PARAMETER_INVALID' && !message.includes('secret'))
  }
})
