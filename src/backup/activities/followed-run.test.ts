import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CONTENT, selector } from '../../../test/helpers/backup-activity.ts'
import { manifestDraft } from '../../../test/helpers/backup-runs.ts'
import { AppError } from '../../core/errors.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { StoredRun } from '../layouts/layouts.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { BackupTask } from '../tasks/backup-task.ts'
import { followedRun } from './followed-run.ts'

const { signal } = new AbortController()
const task = { name: 'nightly', content: CONTENT } as BackupTask

interface Stored extends Partial<Manifest> {
  readonly layout?: StoredRun['layout']
  readonly isBroken?: boolean
}
const GOOD: Stored = { since: '2026-01-01T00:00:00Z' }

/** @param stored newest first. @returns its number. */
async function followed(...stored: Stored[]): Promise<number> {
  const manifests = stored.map((run) => ({ ...manifestDraft([]), content: CONTENT, ...run }) as Manifest)
  const found = await followedRun(
    {
      list: async () =>
        stored.map(({ layout = 'FOLDER' }, n) => ({ name: 'nightly', path: String(n), layout, startedAt: -n })),
      async openReader(path) {
        if (stored[Number(path)]!.isBroken) throw new AppError('ARTIFACT_BROKEN', 'it is broken', {})
        const reader = { manifest: manifests[Number(path)], async [Symbol.asyncDispose]() {} }
        return reader as Partial<BackupReader> as BackupReader
      },
    },
    { task, place: '/place' },
    'c',
    signal,
  )
  return manifests.indexOf(found!)
}

it('given runs of a name, when an increment is made, then it follows the newest good one of this server and these repositories', async () => {
  assert.equal(await followed(GOOD, GOOD), 0)
  assert.equal(await followed({ ...GOOD, result: 'PARTIAL' }, GOOD), 1)
  assert.equal(await followed({ ...GOOD, clusterId: 'other' }, GOOD), 1)
  assert.equal(await followed({ ...GOOD, layout: 'REPOSITORY' }, GOOD), 1)
  assert.equal(await followed({ ...GOOD, isBroken: true }, GOOD), 1)
  const content = { ...CONTENT, projects: [selector({ projectId: 'p1' })] }
  assert.equal(await followed({ ...GOOD, content }, GOOD), 1)
})

it('given no good run, when an increment is made, then it follows the newest full one', async () => {
  const partial: Stored = { ...GOOD, result: 'PARTIAL' }
  assert.equal(await followed(partial, { ...partial, since: null }, { ...partial, since: null }), 1)
  assert.equal(await followed(partial), -1)
  assert.equal(await followed(), -1)
})
