import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import { backUp, repositoryLayout, SIGNAL, START } from '../../../../test/helpers/backup-repositories.ts'
import { tempDir } from '../../../../test/helpers/temp.ts'
import { AppError } from '../../../core/errors.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { createFsBackupLocation } from '../../../storage/fs/backup-location.ts'
import type { RepositoryLayout } from './repository-layout.ts'

const ALL = { percent: 100, subset: undefined }
const real = { runId: 'p', mode: 'for real', wait: 'no' } as const

/** Runs `event` before the data object of that number is opened, counted from 0. */
function interrupted(at: number, event: () => Promise<void>): (path: string) => BackupLocation {
  let opened = 0
  let going: Promise<void> | undefined
  return (path) => {
    const location = createFsBackupLocation(path)
    return {
      ...location,
      async open(name, signal) {
        if (name.includes('data/') && opened++ >= at) {
          going ??= event()
          await going
        }
        return location.open(name, signal)
      },
    }
  }
}
const files = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`/${at}`, randomBytes(300_000)]))
async function pruneAll(layout: RepositoryLayout, place: string, gone: string): Promise<void> {
  await layout.removeSnapshots(`${place}/repo`, [basename(gone)], SIGNAL)
  for (let turn = 0; turn < 2; turn++) await layout.prune(`${place}/repo`, real, SIGNAL)
}

describe('verification of a repository', () => {
  for (const at of [1, 2, 14, 26]) {
    it(`given a prune that removes objects once ${at} were read, when all is verified, then nothing of what it removed is told`, async () => {
      await using dir = await tempDir()
      await using layout = repositoryLayout({ graceMs: 0 })
      const { path } = await backUp(layout, dir.path, files(12))
      await backUp(layout, dir.path, files(2), { startedAt: START + 1_000 })
      const locationAt = interrupted(at, () => pruneAll(layout, dir.path, path))
      await using other = repositoryLayout({ locationAt })
      const { wrong, findings } = await other.verify(dir.file('repo'), ALL, () => undefined, SIGNAL)
      assert.deepEqual([wrong, findings.filter(({ reason }) => !reason.startsWith('no index'))], [0, []])
    })
  }

  it('given an object that is lost while all is verified, when an index has it still, then it is told', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    await backUp(layout, dir.path, files(6))
    const locationAt = interrupted(4, () => rm(dir.file('repo/data'), { recursive: true }))
    await using other = repositoryLayout({ locationAt })
    assert.ok((await other.verify(dir.file('repo'), ALL, () => undefined, SIGNAL)).wrong > 0)
  })

  it('given a snapshot whose packs are written anew while it is verified, when it is read, then it is found where it is by then', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout({ graceMs: 0 })
    const runs: string[] = []
    for (let run = 0; run < 17; run++) {
      const { path } = await backUp(layout, dir.path, { '/a': randomBytes(1_000) }, { startedAt: START + run * 1_000 })
      runs.push(path)
    }
    const twice = async () => {
      for (let turn = 0; turn < 2; turn++) await layout.prune(dir.file('repo'), real, SIGNAL)
    }
    await using other = repositoryLayout({ locationAt: interrupted(0, twice) })
    await using reader = await other.openReader(runs[0]!, 'whole', SIGNAL)
    const { wrong, findings } = await reader.verify(ALL, () => undefined, SIGNAL)
    assert.deepEqual([wrong, findings], [0, []])
  })

  it('given a sector that the disk cannot read, when all is verified, then its object is named and the rest is read', async () => {
    await using dir = await tempDir()
    await using layout = repositoryLayout()
    const { manifest } = await backUp(layout, dir.path, files(3))
    let victim: string | undefined
    const locationAt = (path: string): BackupLocation => {
      const location = createFsBackupLocation(path)
      return {
        ...location,
        async open(name, signal) {
          const reader = await location.open(name, signal)
          if (!name.includes('data/') || reader.sizeBytes < 300_000) return reader
          victim ??= name
          if (name !== victim) return reader
          const read: typeof reader.read = async (into, position, both) => {
            if (position > 0 && position < 200_000) throw new AppError('ARTIFACT_BROKEN', `cannot read [${name}]`)
            return reader.read(into, position, both)
          }
          return { ...reader, read }
        },
      }
    }
    await using other = repositoryLayout({ locationAt })
    let bytes = 0
    const { wrong, findings } = await other.verify(dir.file('repo'), ALL, (count) => (bytes += count), SIGNAL)
    assert.equal(manifest.result, 'SUCCESS')
    assert.equal(wrong, 1)
    assert.ok(victim!.endsWith(findings[0]!.object))
    assert.ok(bytes > 600_000)
  })
})
