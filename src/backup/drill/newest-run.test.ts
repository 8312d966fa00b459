import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import type { BackupReader } from '../layouts/layout.ts'
import type { Layouts, StoredRun } from '../layouts/layouts.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { runsToDrill } from './newest-run.ts'

const ROOT = '/srv/backups'

/** Runs below places, newest first; `+` at the end of a path marks an increment. */
function layoutsOf(runs: Readonly<Record<string, readonly string[]>>) {
  const asked: string[] = []
  const layouts: Pick<Layouts, 'list' | 'openReader'> = {
    async list(place, name) {
      asked.push(place)
      const all = (runs[place] ?? []).map((path, index): StoredRun => {
        const owner = path.split('/').at(-2)!
        return { name: owner, path, layout: 'FOLDER', startedAt: 1_000 - index }
      })
      return all.filter((run) => name === undefined || run.name === name)
    },
    openReader: async (path) =>
      ({
        manifest: { since: path.endsWith('+') ? '2026-01-01T00:00:00Z' : null } as Manifest,
        async [Symbol.asyncDispose]() {},
      }) as unknown as BackupReader,
  }
  return { layouts, asked }
}

describe('what a drill restores', () => {
  it('given a run itself, when asked for, then it is that, and nothing else is looked at', async ({ signal }) => {
    const { layouts, asked } = layoutsOf({})
    for (const run of [
      '/srv/a/20261121.020000',
      '/srv/a/a-20261121.020000.zip',
      '/srv/repo/snapshots/a-20261121.020000',
    ]) {
      assert.deepEqual(await runsToDrill(layouts, run, [ROOT], signal), [run])
    }
    assert.deepEqual(asked, [])
  })
  it('given a place, when asked for, then it is the newest run of all names; of a name in it, the newest of that name', async ({
    signal,
  }) => {
    const { layouts, asked } = layoutsOf({ [ROOT]: [`${ROOT}/b/2`, `${ROOT}/a/1`] })
    assert.deepEqual(await runsToDrill(layouts, ROOT, [ROOT], signal), [`${ROOT}/b/2`])
    assert.deepEqual(await runsToDrill(layouts, `${ROOT}/a`, [ROOT], signal), [`${ROOT}/a/1`])
    assert.ok(!asked.includes('/srv'), 'nothing above the root is looked at')
  })
  it('given increments, when asked for, then the runs since the last whole one come along, oldest first', async ({
    signal,
  }) => {
    const [third, second, first] = [`${ROOT}/a/3+`, `${ROOT}/a/2+`, `${ROOT}/a/1`]
    const { layouts } = layoutsOf({ [ROOT]: [`${third}`, `${second}`, first, `${ROOT}/a/0`] })
    assert.deepEqual(await runsToDrill(layouts, ROOT, [ROOT], signal), [first, second, third])
  })
  it('given no backup, when asked for, then the place is named', async ({ signal }) => {
    const { layouts } = layoutsOf({})
    await assert.rejects(
      runsToDrill(layouts, `${ROOT}/none`, [ROOT], signal),
      (error) => hasCode(error, 'RESOURCE_NOT_FOUND') && error.message.includes(`${ROOT}/none`),
    )
  })
})
