import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { backUp, repositoryLayout, SIGNAL, START, settableClock } from '../../../../test/helpers/backup-repositories.ts'
import { type TempDir, tempDir } from '../../../../test/helpers/temp.ts'
import { hasCode } from '../../../core/errors.ts'
import type { RepositoryLayout } from './repository-layout.ts'

/** Its time stands still: those who wait for each other look again soon, one sooner than the other, and nobody gives up. */
const hurried = {
  ...settableClock(),
  async sleep(ms: number, signal: AbortSignal) {
    if (ms > 60_000) await settableClock().sleep(ms, signal)
    for (let turn = 0; turn < ms; turn += 10) await setImmediate(undefined, { signal })
  },
}
const layoutWith = (passphrase: string): RepositoryLayout =>
  repositoryLayout({ passphrase: async () => passphrase, clock: hurried })
const outcomes = (settled: readonly PromiseSettledResult<unknown>[]) =>
  settled.map((one) => (one.status === 'fulfilled' ? 'done' : (one.reason as { code: string }).code)).sort()

/** A repository with the keys of `a` and `b`. */
async function twoKeys(dir: TempDir) {
  await using layout = layoutWith('a')
  const { path } = await backUp(layout, dir.path, { '/x': Buffer.from('x') })
  const repo = dir.file('repo')
  const [a] = await layout.keys.list(repo, SIGNAL)
  return { repo, path, a: a!.id, b: await layout.keys.add(repo, { passphrase: 'b', label: 'second' }, SIGNAL) }
}

it('given two servers that remove the key of the other at once, when both are answered, then one is refused and a key is left', async () => {
  await using dir = await tempDir()
  const { repo, a, b } = await twoKeys(dir)
  await using first = layoutWith('a')
  await using second = layoutWith('b')
  const both = [first.keys.remove(repo, b, SIGNAL), second.keys.remove(repo, a, SIGNAL)]
  const [one, other] = outcomes(await Promise.allSettled(both))
  // Who comes second finds the repository closed, or the key that is left to be the only one.
  assert.ok((one === 'DELETION_REFUSED' || one === 'PERMISSION_DENIED') && other === 'done', `${one} ${other}`)
  assert.equal((await first.keys.list(repo, SIGNAL)).length, 1)
  assert.deepEqual(await readdir(dir.file('repo', 'locks')), [])
})

it('given two who add the same passphrase at once, when both are answered, then there is one key more', async () => {
  await using dir = await tempDir()
  const { repo } = await twoKeys(dir)
  await using layout = layoutWith('a')
  const add = () => layout.keys.add(repo, { passphrase: 'c' }, SIGNAL)
  assert.deepEqual(outcomes(await Promise.allSettled([add(), add()])), ['RESOURCE_EXISTED', 'done'])
  assert.equal((await layout.keys.list(repo, SIGNAL)).length, 3)
})

it('given an open repository, when the key that opened it is removed elsewhere, then it is closed at the next look', async () => {
  await using dir = await tempDir()
  const { repo, path, a } = await twoKeys(dir)
  await using first = layoutWith('a')
  await (await first.openReader(path, 'whole', SIGNAL))[Symbol.asyncDispose]()
  await using second = layoutWith('b')
  await second.keys.remove(repo, a, SIGNAL)
  await assert.rejects(first.openReader(path, 'whole', SIGNAL), (error) => hasCode(error, 'PERMISSION_DENIED'))
})

it('given a damaged key, when keys are listed and removed, then it is shown without a date and may go, and does not count as one that is left', async () => {
  await using dir = await tempDir()
  const { repo, a, b } = await twoKeys(dir)
  const file = dir.file('repo', 'keys', b)
  await writeFile(file, (await readFile(file, 'utf8')).replace('second', 'sekond'))
  await using layout = layoutWith('a')
  const createdDate = new Date(START).toISOString()
  const expected = { [a]: [createdDate, undefined], [b]: [undefined, undefined] }
  const listed = await layout.keys.list(repo, SIGNAL)
  assert.deepEqual(Object.fromEntries(listed.map(({ id, ...key }) => [id, [key.createdDate, key.label]])), expected)
  await assert.rejects(layout.keys.remove(repo, a, SIGNAL), (error) => hasCode(error, 'DELETION_REFUSED'))
  await layout.keys.remove(repo, b, SIGNAL)
  assert.equal((await layout.keys.list(repo, SIGNAL)).length, 1)
})

it('given a backup at work, when keys are changed, then neither waits for the other', async () => {
  await using dir = await tempDir()
  const { repo, b } = await twoKeys(dir)
  await using layout = layoutWith('a')
  await writeFile(
    dir.file('repo', 'locks', 'f'.repeat(32)),
    JSON.stringify({ kind: 'exclusive', runId: 'r', server: 's' }),
  )
  await layout.keys.remove(repo, b, SIGNAL)
  await writeFile(dir.file('repo', 'locks', 'f'.repeat(32)), JSON.stringify({ kind: 'keys', runId: 'r', server: 's' }))
  await backUp(layout, dir.path, { '/y': Buffer.from('y') }, { startedAt: START + 1_000 })
})
