import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { tempDir } from '../../test/helpers/temp.ts'
import { hasCode } from '../core/errors.ts'
import { lockDataDirectory } from './data-directory-lock.ts'

const HOLDER = `
  const { lockDataDirectory } = await import(process.argv[1])
  globalThis.held = lockDataDirectory(process.argv[2])
  process.stdout.write('held')
  process.stdin.resume()`

/** Another process that holds the lock when this resolves. */
async function holdElsewhere(directory: string): Promise<ChildProcess & AsyncDisposable> {
  const module = import.meta.resolve('./data-directory-lock.ts')
  const options = ['--input-type=module', '--eval', HOLDER, module, directory]
  const child = spawn(process.execPath, options, { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const exited = once(child, 'exit')
  return Object.assign(child, {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exited
    },
  })
}
const refused = (directory: string) =>
  assert.throws(
    () => lockDataDirectory(directory),
    (e) => hasCode(e, 'DATA_DIRECTORY_IN_USE') && e.message.includes(directory),
  )

describe('data directory lock', () => {
  it('given a directory held by another process, when locked, then it is refused and the directory is named', async () => {
    await using dir = await tempDir()
    await using _holder = await holdElsewhere(dir.path)
    refused(dir.path)
  })

  it('given the other process killed with kill -9, when locked, then it is ours', async () => {
    await using dir = await tempDir()
    {
      await using _holder = await holdElsewhere(dir.path)
      refused(dir.path)
    }
    lockDataDirectory(dir.path)[Symbol.dispose]()
  })

  it('given a directory held by this process, when locked again, then it is refused until the first is disposed', async () => {
    await using dir = await tempDir()
    const first = lockDataDirectory(dir.path)
    refused(dir.path)
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    using _second = lockDataDirectory(dir.path)
    refused(dir.path)
  })

  it('given a directory that does not exist, when locked, then it is made', async () => {
    await using dir = await tempDir()
    using _lock = lockDataDirectory(dir.file('a', 'b'))
    refused(dir.file('a', 'b'))
  })
})
