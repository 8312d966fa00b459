import { basename, dirname } from 'node:path'
import { AppError } from '../../../core/errors.ts'
import { isDraftName, isObjectName } from '../../../storage/object-name.ts'
import type { LayoutKind, StoredRun } from '../layouts.ts'
import { claimRun, releaseRun, runsClaimedBy, underClaim } from '../run-claim.ts'
import { runTimeOf } from '../run-name.ts'
import { kindAt, type RunPlaces, runOwners, zipNameOf } from '../run-place.ts'
import { openRunReader } from '../run-reader.ts'
import { createRunWriter } from '../run-writer.ts'
import { createWritePace } from '../write-pace.ts'
import { createZipDraft } from './zip-draft.ts'
import { openZipFiles, sidecarOf } from './zip-files.ts'

const ZIP = '.zip'

/** `<place>/<name>/<name>-<yyyyMMdd.HHmmss>.zip`, which any program unpacks, and its digest beside it (backup.md 3.2). */
export function createZipLayout({ locate, seal, random, clock, timeZone }: RunPlaces): LayoutKind {
  /** `<name>-<run>.zip…` gives the run and what follows. */
  function partsOf(file: string, name: string): { readonly run: string; readonly rest: string } | undefined {
    if (!file.startsWith(`${name}-`)) return undefined
    const cut = name.length + 1 + 'yyyyMMdd.HHmmss'.length
    return { run: file.slice(name.length + 1, cut), rest: file.slice(cut) }
  }
  return {
    async openWriter(request, signal) {
      const location = locate(request.place)
      const claim = await claimRun(location, request, timeZone, signal)
      const open = (run: string) => createZipDraft(location, zipNameOf(request.name, run), run, signal)
      return createRunWriter(await underClaim(claim, open), seal, createWritePace(clock, request.rateLimit))
    },
    async openReader(path, takes, signal) {
      if ((await kindAt(locate, path, signal)) !== 'object') return undefined
      const zip = basename(path)
      if (!isObjectName(zip)) {
        const why = 'its name has other characters than letters, digits and ._+-'
        throw new AppError('ARTIFACT_BROKEN', `[${path}] is not taken as a backup: ${why}. Rename it`, {})
      }
      return openRunReader(await openZipFiles(locate(dirname(path)), zip, signal), takes, seal, random, signal)
    },
    async sweep({ place, name, runId }, signal) {
      const location = locate(place)
      const children = await location.children(name, signal)
      const names = new Set(children.map((child) => child.name))
      const runs = new Set(await runsClaimedBy(location, name, runId, signal))
      for (const child of children) {
        const { run, rest } = partsOf(child.name, name) ?? { run: '', rest: '' }
        if (child.kind !== 'object' || !rest.startsWith(ZIP) || !runs.has(run)) continue
        const isLonely = rest === sidecarOf(ZIP) && !names.has(basename(zipNameOf(name, run)))
        if (isDraftName(rest) || isLonely) await location.delete(`${name}/${child.name}`, signal)
      }
      for (const run of runs) await releaseRun(location, name, run, signal)
      await location.deleteIfEmpty(name, signal)
    },
    // It has its name once it is whole; what is cut is found when it is opened.
    incomplete: async () => [],
    isRun: async (path, signal) => (await kindAt(locate, path, signal)) === 'object',
    async list(place, name, signal) {
      const location = locate(place)
      const runs: StoredRun[] = []
      for (const owner of await runOwners(location, name, signal)) {
        for (const child of await location.children(owner, signal)) {
          const { run, rest } = partsOf(child.name, owner) ?? { run: '', rest: '' }
          const startedAt = runTimeOf(run, timeZone)
          if (child.kind !== 'object' || rest !== ZIP || startedAt === undefined) continue
          runs.push({ name: owner, path: `${location.path}/${owner}/${child.name}`, layout: 'ZIP', startedAt })
        }
      }
      return runs
    },
    async remove({ path }, signal) {
      const location = locate(dirname(path))
      await location.delete(basename(path), signal)
      await location.delete(sidecarOf(basename(path)), signal)
    },
  }
}
