import { basename, dirname } from 'node:path'
import { draftNameOf } from '../../../storage/object-name.ts'
import { CONTENTS, MANIFEST } from '../../manifest/run-paths.ts'
import type { LayoutKind, StoredRun } from '../layouts.ts'
import { claimRun, releaseRun, runsClaimedBy, underClaim } from '../run-claim.ts'
import { runTimeOf } from '../run-name.ts'
import { kindAt, type RunPlaces, runOwners } from '../run-place.ts'
import { openRunReader } from '../run-reader.ts'
import { createRunWriter } from '../run-writer.ts'
import { createWritePace } from '../write-pace.ts'
import { createFolderDraft } from './folder-draft.ts'
import { createFolderFiles, refuseLinks } from './folder-files.ts'

/** Half of a run must not look like one: it has another name before its files go. Nobody needs what has it. */
const REMOVED = draftNameOf('.removed')

/** `<place>/<name>/<yyyyMMdd.HHmmss>/…`: plain files, readable without this program (backup.md 3.1). */
export function createFolderLayout({ locate, seal, random, clock, timeZone }: RunPlaces): LayoutKind {
  async function* runsIn(
    place: string,
    name: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly run: StoredRun; readonly isWhole: boolean }> {
    const location = locate(place)
    for (const owner of await runOwners(location, name, signal)) {
      for (const child of await location.children(owner, signal)) {
        const startedAt = runTimeOf(child.name, timeZone)
        if (child.kind !== 'folder' || startedAt === undefined) continue
        const path = `${location.path}/${owner}/${child.name}`
        const isWhole = (await location.find(`${owner}/${child.name}/${MANIFEST}`, signal)) !== undefined
        yield { run: { name: owner, path, layout: 'FOLDER', startedAt }, isWhole }
      }
    }
  }
  return {
    async openWriter(request, signal) {
      const location = locate(request.place)
      const claim = await claimRun(location, request, timeZone, signal)
      const draft = await underClaim(claim, async (run) => createFolderDraft(location, `${request.name}/${run}`))
      return createRunWriter(draft, seal, createWritePace(clock, request.rateLimit))
    },
    async openReader(path, takes, signal) {
      if ((await kindAt(locate, path, signal)) !== 'folder') return undefined
      const location = locate(path)
      await refuseLinks(location, signal)
      return openRunReader(createFolderFiles(location), takes, seal, random, signal)
    },
    async sweep({ place, name, runId }, signal) {
      const location = locate(place)
      for (const run of await runsClaimedBy(location, name, runId, signal)) {
        await location.deleteAll(`${name}/${draftNameOf(run)}`, signal)
        await releaseRun(location, name, run, signal)
      }
      for (const child of await location.children(name, signal)) {
        const isLeft = child.kind === 'folder' && child.name.endsWith(REMOVED)
        if (isLeft) await location.deleteAll(`${name}/${child.name}`, signal)
      }
      await location.deleteIfEmpty(name, signal)
    },
    async isRun(path, signal) {
      const inside = (await kindAt(locate, path, signal)) === 'folder' ? await locate(path).children('', signal) : []
      return inside.some(({ name }) => name === MANIFEST || name === CONTENTS)
    },
    async list(place, name, signal) {
      const runs: StoredRun[] = []
      for await (const { run, isWhole } of runsIn(place, name, signal)) if (isWhole) runs.push(run)
      return runs
    },
    async incomplete(place, name, signal) {
      const paths: string[] = []
      for await (const { run, isWhole } of runsIn(place, name, signal)) if (!isWhole) paths.push(run.path)
      return paths
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
