import { createRepository } from '../../test/helpers/replication-calls.ts'
import { largeFile, smallFiles } from '../content.ts'
import { memoryGoal } from '../measurement.ts'
import { openPair, putAll } from '../pair.ts'
import { named, type Scenario, usedBy } from '../scenario.ts'
import { SMALL_BYTES } from '../stage.ts'

const REPO = 'bench/memory'
const FILES = 100_000
const LARGE_BYTES = 5 * 1024 ** 3

/** Needs 11 GiB of disk. Memory is what the kernel saw as its peak, of uploads and run apart. */
export const memory: Scenario = {
  name: 'memory',
  title: 'peak memory while 100,000 files of 4 KiB and one of 5 GiB are replicated',
  async run({ dir, dialect, scale }, signal) {
    const large = largeFile('/large.bin', Math.round(LARGE_BYTES * scale), 5)
    const files = [large, ...smallFiles(Math.ceil(FILES * scale), SMALL_BYTES, 6)]
    await using pair = await openPair({ name: 'memory', dir, dialect }, signal)
    await createRepository(pair.a, REPO, signal)
    const uploads = await pair.measure(() => putAll(pair.a, REPO, files, signal))
    const run = await pair.replicate(
      REPO,
      files.map(({ expected }) => expected),
    )
    const value = Math.max(run.a.peakRssBytes, run.b.peakRssBytes) / 1e6
    const what = `${this.title}; uploads alone: ${(uploads.a.peakRssBytes / 1e6).toFixed(0)} MB`
    return { ...named(this), what, value, unit: 'MB', goals: [memoryGoal([run.a, run.b])], ...usedBy(run) }
  },
}
