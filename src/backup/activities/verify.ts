import { basename, dirname } from 'node:path'
import { AppError, hasCode, messageOf } from '../../core/errors.ts'
import type { VerifyReport, VerifyShare } from '../layouts/layout.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { RepositoryLayout } from '../layouts/repository/repository-layout.ts'
import type { Activity, ActivityOutcome, ActivityRun } from './activity.ts'

export interface VerifyDeps {
  readonly layouts: Pick<Layouts, 'incomplete' | 'isRun' | 'list' | 'openReader'>
  readonly repository: Pick<RepositoryLayout, 'find' | 'isSnapshot' | 'verify'>
}

/** Of each; the rest is counted. */
const SHOWN_FINDINGS = 100

interface Verified {
  readonly path: string
  readonly report: VerifyReport
}

/** Checks a run (folder, zip, snapshot), a whole repository, or all that is in a place: structure always, bytes by share. */
export function createVerifyActivity({ layouts, repository }: VerifyDeps): Activity {
  async function verifyRun(path: string, { task, progress }: ActivityRun, signal: AbortSignal): Promise<Verified> {
    // A snapshot that anybody may have made is read, and the report says so.
    const takes = task.setting.legacy || repository.isSnapshot(path) ? 'legacy' : 'whole'
    try {
      await using reader = await layouts.openReader(path, takes, signal)
      return { path, report: await reader.verify(shareOf(task.setting), (bytes) => progress.add({ bytes }), signal) }
    } catch (error) {
      return { path, report: reportOf(path, error) }
    }
  }
  async function verifyRepository(
    path: string,
    { task, progress }: ActivityRun,
    signal: AbortSignal,
  ): Promise<Verified> {
    try {
      const onBytes = (bytes: number) => progress.add({ bytes })
      return { path, report: await repository.verify(path, shareOf(task.setting), onBytes, signal) }
    } catch (error) {
      return { path, report: reportOf(path, error) }
    }
  }
  /** A run is itself, whatever somebody has put into its folder. A place, or one name in it, is all its runs. */
  async function whatIsAt(
    { place, task }: ActivityRun,
    signal: AbortSignal,
  ): Promise<{ readonly repository: string | undefined; readonly runs: readonly string[] }> {
    if (await layouts.isRun(place, signal)) return { repository: undefined, runs: [place] }
    const whole =
      (await repository.find(place, signal)) ??
      (basename(place) === 'snapshots' ? await repository.find(dirname(place), signal) : undefined)
    const listed = [
      ...(await layouts.list(place, undefined, signal)),
      ...(await layouts.list(dirname(place), basename(place), signal)),
    ]
    const runs = [
      ...listed.filter(({ layout }) => layout !== 'REPOSITORY').map(({ path }) => path),
      ...(await layouts.incomplete(place, undefined, signal)),
      ...(await layouts.incomplete(dirname(place), basename(place), signal)),
    ]
    const isNone = whole === undefined && runs.length === 0
    return { repository: whole, runs: isNone && task.setting.legacy ? [place] : runs }
  }
  return {
    async run(run, signal) {
      run.progress.set({ phase: 'verify' })
      const verified: Verified[] = []
      const note = (one: Verified) => {
        verified.push(one)
        const { objects, wrong } = one.report
        run.progress.add({ nodes: objects, success: objects, failed: wrong })
      }
      const { repository: whole, runs } = await whatIsAt(run, signal)
      if (whole !== undefined) note(await verifyRepository(whole, run, signal))
      for (const path of runs) note(await verifyRun(path, run, signal))
      if (verified.every(({ report }) => report.objects + report.wrong === 0)) throw nothingThere(run.place)
      return outcomeOf(run, verified)
    },
    // It writes nothing.
    async sweep() {},
  }
}

function outcomeOf({ task }: ActivityRun, verified: readonly Verified[]): ActivityOutcome {
  const { readDataPercent, subset } = task.setting
  const sum = (of: (report: VerifyReport) => number) => verified.reduce((total, { report }) => total + of(report), 0)
  const wrong = sum((report) => report.wrong)
  const first = verified.find(({ report }) => report.wrong > 0)?.report.findings[0]
  const count = `${wrong} ${wrong === 1 ? 'thing is' : 'things are'} damaged or missing`
  return {
    result: wrong === 0 ? 'SUCCESS' : 'FAILED',
    errorReason: first === undefined ? null : `${count}, the first: ${first.object}: ${first.reason}`,
    artifactLocation: null,
    report: {
      objects: sum((report) => report.objects),
      bytes: sum((report) => report.bytes),
      wrong,
      readDataPercent,
      subset,
      verified: verified.map(({ path, report }) => ({
        path,
        ...report,
        findings: report.findings.slice(0, SHOWN_FINDINGS),
      })),
    },
  }
}

const nothingThere = (place: string): AppError =>
  new AppError('RESOURCE_NOT_FOUND', `There is no backup in [${place}]: nothing was verified`, { place })

/** What cannot even be opened. */
function reportOf(path: string, error: unknown): VerifyReport {
  if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN', 'PERMISSION_DENIED')) throw error
  return { objects: 0, bytes: 0, findings: [{ object: path, reason: messageOf(error) }], wrong: 1 }
}

function shareOf({ readDataPercent, subset }: ActivityRun['task']['setting']): VerifyShare {
  const [part, of] = (subset ?? '').split('/').map(Number)
  // A subset alone is read as a whole, as `restic check --read-data-subset` does.
  const percent = subset !== null && readDataPercent === 0 ? 100 : readDataPercent
  return { percent, subset: subset === null ? undefined : { part: part!, of: of! } }
}
