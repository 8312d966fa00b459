import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { differencesOf, wrongDownloads } from '../../demo/compare.ts'
import { type Api, connectApi } from '../../test/helpers/api.ts'
import { createRepository } from '../../test/helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../../test/helpers/server-process.ts'
import { backupFiles } from '../backups/backup-files.ts'
import { EVERYTHING, runBackupTask } from '../backups/backup-task.ts'
import { resticAt } from '../backups/restic.ts'
import type { BenchFile } from '../content.ts'
import { allOf, type Middle, takeTurns } from '../images/rounds.ts'
import type { Goal, Measurement } from '../measurement.ts'
import { CONNECTIONS, putAll } from '../pair.ts'
import { mustHoldFiles } from '../peers.ts'
import { databasesFor } from '../postgres.ts'
import type { Scenario } from '../scenario.ts'

const ROUNDS = 3
const REPOSITORY = 'bench/files'
const CHANGED = '/small/0000/000000.bin'

export const backupBesideRestic: Scenario = {
  name: 'backup',
  title: '10,000 small files and 2 GiB of large ones to an encrypted repository and back, beside restic',
  needs: ['restic'],
  async run({ dir, scale, dialect }, signal) {
    await using stack = new AsyncDisposableStack()
    const work = join(dir, 'backup')
    const source = join(work, 'source')
    let files = await backupFiles(source, scale, signal)
    const databases = await databasesFor(dialect, 1 + ROUNDS, stack)
    const open = async (name: string, database: number) => {
      const settings = {
        ENTREPOT_BACKUP_ALLOWED_ROOTS: work,
        ENTREPOT_BACKUP_PASSPHRASE: 'correct-horse-battery',
        ENTREPOT_BACKUP_USAGE_THRESHOLD: '0.99',
      }
      const env = { ...databases[database], ...settings }
      const server = stack.use(await startServer({ name, dataDir: join(work, name), env }, signal))
      return { server, api: stack.use(connectApi({ ...server, connections: CONNECTIONS })) }
    }
    const { server, api } = await open('backup-source', 0)
    await createRepository(api, REPOSITORY, signal)
    await putAll(api, REPOSITORY, files, signal)

    const place = (round: number) => join(work, `ours-${round}`)
    const restic = (round: number) => resticAt(join(work, `restic-${round}`))
    const made: string[] = []
    const backUp = async (round: number) => {
      const backupSetting = { layout: 'REPOSITORY' }
      const body = { name: 'bench', storeLocation: place(round), content: EVERYTHING, backupSetting }
      made[round] = (await runBackupTask(api, body, signal)).artifactLocation!
      return undefined
    }
    const ours = (run: (round: number) => Promise<undefined>) => ({ name: 'ours', pids: [server.pid], run })
    const both = (run: (round: number) => Promise<{ cpuSeconds: number }>) =>
      takeTurns(ROUNDS, [ours(backUp), { name: 'restic', pids: [], run }])

    for (let round = 0; round < ROUNDS; round++) await restic(round).init()
    const found: Measurement[] = []
    const note = (what: string, [mine, theirs]: readonly [Middle, Middle], more: readonly Goal[] = []) =>
      found.push(measurement(`backup-${what}`, mine, theirs, more))

    note('first', await both((round) => restic(round).backup(source)))
    const unchanged = await both((round) => restic(round).backup(source))
    const unchangedMs = unchanged[0].ms
    note('unchanged', unchanged, [{ text: `≤ 200 ms (${unchangedMs.toFixed(0)})`, met: unchangedMs <= 200 }])
    files = await changeOne(api, source, files, signal)
    note('one-changed', await both((round) => restic(round).backup(source)))

    const verify = async (round: number) => {
      const body = { name: 'verify', type: 'DATA_VERIFY', storeLocation: made[round]!, content: EVERYTHING }
      await runBackupTask(api, { ...body, backupSetting: { readDataPercent: 100 } }, signal)
      return undefined
    }
    const checkData = { name: 'restic', pids: [], run: (round: number) => restic(round).checkData() }
    note('verify', await takeTurns(ROUNDS, [ours(verify), checkData]))

    const empty: { server: ServerProcess; api: Api }[] = []
    for (let round = 0; round < ROUNDS; round++) empty.push(await open(`backup-target-${round}`, 1 + round))
    const restored = (round: number) => join(work, `restored-${round}`)
    note(
      'restore',
      await takeTurns(ROUNDS, [
        {
          ...{ name: 'ours', pids: empty.map((one) => one.server.pid) },
          async run(round: number) {
            const body = { name: 'back', type: 'DATA_RESTORE', storeLocation: made[round]!, content: EVERYTHING }
            await runBackupTask(empty[round]!.api, body, signal)
            return undefined
          },
          check: (round: number) => mustHold(empty[round]!.api, files, signal),
        },
        {
          ...{ name: 'restic', pids: [] },
          run: (round: number) => restic(round).restore(restored(round)),
          check: (round: number) => mustHoldFiles(join(restored(round), source), files, signal),
        },
      ]),
    )
    return found
  },
}

/** The same file, there and here. */
async function changeOne(
  api: Api,
  source: string,
  files: readonly BenchFile[],
  signal: AbortSignal,
): Promise<BenchFile[]> {
  const file = files.find(({ expected }) => expected.path === CHANGED)!
  const content = Buffer.from(await readFile(join(source, CHANGED))).reverse()
  await writeFile(join(source, CHANGED), content)
  const sha256 = createHash('sha256').update(content).digest('hex')
  const changed: BenchFile = { expected: { ...file.expected, sha256 }, content }
  await putAll(api, REPOSITORY, [changed], signal)
  return files.map((one) => (one === file ? changed : one))
}

async function mustHold(api: Api, files: readonly BenchFile[], signal: AbortSignal): Promise<void> {
  const expected = files.map((file) => file.expected)
  const wrong = [
    ...(await differencesOf(api, REPOSITORY, expected, signal)),
    ...(await wrongDownloads(api, REPOSITORY, expected, signal)),
  ]
  if (wrong.length > 0)
    throw new Error(`${wrong.length} files are not what was backed up: ${wrong.slice(0, 3).join('; ')}`)
}

function measurement(scenario: string, ours: Middle, restic: Middle, more: readonly Goal[]): Measurement {
  const faster = restic.ms / ours.ms
  const cpu = `processor time ${ours.cpuSeconds.toFixed(2)} and ${restic.cpuSeconds.toFixed(2)} s`
  return {
    scenario,
    what: `ours ${allOf(ours)}, restic ${allOf(restic)}; ${cpu}`,
    value: ours.ms / 1000,
    raw: restic.ms / 1000,
    unit: 's',
    goals: [{ text: `faster than restic (${faster.toFixed(2)} ×)`, met: faster > 1 }, ...more],
    a: ours.usages[0]!,
  }
}
