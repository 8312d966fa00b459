import { basename } from 'node:path'
import { hasCode } from '../../core/errors.ts'
import type { BackupLocation } from '../../storage/backup-location.ts'
import type { RunDraft } from './run-files.ts'
import { claimNameOf, freeRunName, zipNameOf } from './run-place.ts'

/** Longer than any id of a run. */
const ID_BYTES = 1_024

/** A name that one run has, of all processes and machines that make backups in the place. */
export interface RunClaim {
  readonly run: string
  /** When what was made under it was published, or is gone. */
  release(): Promise<void>
}

/** Claims the name of a run that begins then. @throws AppError RESOURCE_EXISTED. */
export async function claimRun(
  place: BackupLocation,
  { name, runId, startedAt }: { readonly name: string; readonly runId: string; readonly startedAt: number },
  timeZone: string,
  signal: AbortSignal,
): Promise<RunClaim> {
  for (;;) {
    const run = await freeRunName(place, name, startedAt, timeZone, signal)
    if (!(await place.putNew(claimNameOf(name, run), Buffer.from(runId), signal))) continue
    // Another run may have been published and let go of the name since it was found free.
    const made = new Set((await place.children(name, signal)).map((child) => child.name))
    async function release(): Promise<void> {
      const { signal: untilDone } = new AbortController()
      // Of a run that hung and was swept meanwhile, somebody else may have the name.
      const mine = await claimerAt(place, claimNameOf(name, run), untilDone)
      if (mine === runId) await releaseRun(place, name, run, untilDone)
    }
    if (!made.has(run) && !made.has(basename(zipNameOf(name, run)))) return { run, release }
    await release()
  }
}

/** The draft made under the claim; the claim ends with it. */
export async function underClaim(claim: RunClaim, open: (run: string) => Promise<RunDraft>): Promise<RunDraft> {
  try {
    const draft = await open(claim.run)
    return {
      ...draft,
      async [Symbol.asyncDispose]() {
        await draft[Symbol.asyncDispose]()
        await claim.release()
      },
    }
  } catch (error) {
    await claim.release()
    throw error
  }
}

/** Names that a run has claimed and never let go of. */
export async function runsClaimedBy(
  place: BackupLocation,
  name: string,
  runId: string,
  signal: AbortSignal,
): Promise<string[]> {
  const runs: string[] = []
  const ending = claimNameOf('', '').slice(1)
  for (const child of await place.children(name, signal)) {
    const run = child.name.slice(0, -ending.length)
    if (child.kind !== 'object' || !child.name.endsWith(ending)) continue
    if ((await claimerAt(place, claimNameOf(name, run), signal)) === runId) runs.push(run)
  }
  return runs
}

/** After what was made under it is gone. */
export async function releaseRun(place: BackupLocation, name: string, run: string, signal: AbortSignal): Promise<void> {
  await place.delete(claimNameOf(name, run), signal)
  await place.deleteIfEmpty(name, signal)
}

async function claimerAt(place: BackupLocation, claim: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    await using object = await place.open(claim, signal)
    const id = Buffer.alloc(ID_BYTES)
    return id.toString('utf8', 0, await object.read(id, 0, signal))
  } catch (error) {
    if (hasCode(error, 'BLOB_UNKNOWN', 'ARTIFACT_BROKEN')) return undefined
    throw error
  }
}
