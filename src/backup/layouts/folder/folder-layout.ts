import { basename, dirname } from 'node:path'
import { draftNameOf } from '../../../storage/object-name.ts'
import { MANIFEST } from '../../run-paths.ts'
import type { LayoutKind, StoredRun } from '../layouts.ts'
import { runTimeOf } from '../run-name.ts'
import { freeRunName, kindAt, type RunPlaces, runNamesOf, runOwners } from '../run-place.ts'
import { openRunReader } from '../run-reader.ts'
import { createRunWriter } from '../run-writer.ts'
import { createWritePace } from '../write-pace.ts'
import { createFolderDraft } from './folder-draft.ts'
import { createFolderFiles, refuseLinks } from './folder-files.ts'

/** Half of a run must not look like one: it has another name before its files go. Nobody needs what has it. */
const REMOVED = draftNameOf('.removed')

/** `<place>/<name>/<yyyyMMdd.HHmmss>/…`: plain files, readable without this program (backup.md 3.1). */
export function createFolderLayout({ locate, seal, random, clock, timeZone }: RunPlaces): LayoutKind {
  return {
    async openWriter({ place, name, startedAt, rateLimit }, signal) {
      const location = locate(place)
      const run = await freeRunName(location, name, startedAt, timeZone, signal)
      return createRunWriter(createFolderDraft(location, `${name}/${run}`), seal, createWritePace(clock, rateLimit))
    },
    async openReader(path, takes, signal) {
      if ((await kindAt(locate, path, signal)) !== 'folder') return undefined
      const location = locate(path)
      await refuseLinks(location, signal)
      return openRunReader(createFolderFiles(location), takes, seal, random, signal)
    },
    async sweep({ place, name, startedAt }, signal) {
      const location = locate(place)
      const drafts = new Set([...runNamesOf(startedAt, timeZone)].map((run) => draftNameOf(run)))
      for (const child of await location.children(name, signal)) {
        const isLeft = drafts.has(child.name) || child.name.endsWith(REMOVED)
        if (child.kind === 'folder' && isLeft) await location.deleteAll(`${name}/${child.name}`, signal)
      }
    },
    async list(place, name, signal) {
      const location = locate(place)
      const runs: StoredRun[] = []
      for (const owner of await runOwners(location, name, signal)) {
        for (const child of await location.children(owner, signal)) {
          const startedAt = runTimeOf(child.name, timeZone)
          if (child.kind !== 'folder' || startedAt === undefined) continue
          if ((await location.find(`${owner}/${child.name}/${MANIFEST}`, signal)) === undefined) continue
          const path = `${location.path}/${owner}/${child.name}`
          runs.push({ name: owner, path, layout: 'FOLDER', startedAt })
        }
      }
      return runs
    },
    async remove({ path }, signal) {
      const location = locate(dirname(path))
      const run = basename(path)
      if ((await kindAt(locate, path, signal)) === 'folder') await location.rename(run, `${run}${REMOVED}`, signal)
      for (const { name } of await location.children('', signal)) {
        if (name.endsWith(REMOVED)) await location.deleteAll(name, signal)
      }
    },
  }
}
