import assert from 'node:assert/strict'
import { it } from 'node:test'
import { backUp, repositoryLayout, SIGNAL } from '../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { keepableRuns } from './keepable-runs.ts'

it('given two runs in the hour that summer time makes twice, when they are to be kept, then they count in the order they were made', async () => {
  await using dir = await tempDir()
  await using repository = repositoryLayout({ timeZone: 'Europe/Berlin' })
  // 02:45 summer time, then 02:15 winter time.
  const [first, second] = [Date.UTC(2026, 9, 25, 0, 45), Date.UTC(2026, 9, 25, 1, 15)]
  for (const startedAt of [first, second]) await backUp(repository, dir.path, { '/a': Buffer.from('a') }, { startedAt })
  const listed = await repository.list(dir.path, undefined, SIGNAL)
  const runs = await keepableRuns(repository, listed, 'whole', SIGNAL)
  assert.deepEqual(runs.map(({ startedAt }) => startedAt).sort(), [first, second])
})
