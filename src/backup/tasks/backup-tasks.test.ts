import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { type BackupBench, backupBench, sampleBackup } from '../../../test/helpers/backup-tasks.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { AppError } from '../../core/errors.ts'
import { deleteOldBackupRuns, listBackupFares } from '../../metadata/backup/runs.ts'
import { RUN_BACKUP } from './backup-runs.ts'

const PAGE = { pageNumber: 1, pageSize: 20 }

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => assert.fail('it was not refused'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof AppError, String(error))
  return `${error.code} ${String(error.detail.name ?? '')}`.trim()
}

const stored = async (at: BackupBench) => (await at.tasks.page(undefined, PAGE)).totalRecords

eachDatabase('tasks of backup', (make) => {
  it('case 1: given the body of the contract, when it is created, then it is PENDING with the defaults, and nothing is on disk', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    const { setting, content, ...task } = await at.get(id)
    assert.deepEqual([task.state, task.type, task.storeLocation], ['PENDING', 'DATA_BACKUP', 'nightly'])
    assert.deepEqual(
      [setting.conflictStrategy, setting.errorStrategy, setting.executionStrategy, setting.spaceCapCheck],
      ['OVERWRITE', 'CONTINUE', 'IMMEDIATELY', true],
    )
    assert.deepEqual(setting.executionPlan, { executeImmediately: true, executeTime: null, cronExpression: null })
    assert.deepEqual(content.projects, [
      {
        ...{ projectId: null, projectRegex: '*', repoList: null, repoRegex: null },
        ...{ excludeProjects: null, excludeRepos: null },
      },
    ])
    assert.deepEqual([content.increment, content.incrementDate], [null, null])
    await at.work()
    assert.equal((await at.get(id)).state, 'PENDING')
    assert.deepEqual(await readdir(at.root), [])
  })

  it('cases 3, 5, 6 and 7: given bodies with a fault, when they are created, then each is refused by its field and nothing is stored', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const content = { commonData: true }
    for (const [change, expected] of [
      [{ content: null }, 'PARAMETER_INVALID content'],
      [{ content: { commonData: false, projects: [] } }, 'PARAMETER_INVALID content'],
      [{ content: { projects: [{ repoList: ['a'] }] } }, 'PARAMETER_INVALID projects[0]'],
      [{ content: { projects: [{ projectRegex: '(' }] } }, 'PARAMETER_INVALID projects[0].projectRegex'],
      [{ content: { projects: 'all' } }, 'REQUEST_CONTENT_INVALID projects'],
      [{ content: { ...content, incrementDate: 'yesterday' } }, 'PARAMETER_INVALID incrementDate'],
      [{ content: { ...content, compression: 'yes' } }, 'REQUEST_CONTENT_INVALID compression'],
      [{ type: 'X' }, 'PARAMETER_INVALID type'],
      [{ type: 'DATA_PRUNE' }, 'PARAMETER_INVALID retention'],
      [{ type: 'DATA_RESTORE', storeLocation: 'nothing' }, 'PARAMETER_INVALID storeLocation'],
      [{ storeLocation: undefined }, 'PARAMETER_INVALID storeLocation'],
      [{ storeLocation: '/etc' }, 'PARAMETER_INVALID storeLocation'],
      [{ storeLocation: '../x' }, 'PARAMETER_INVALID storeLocation'],
      [{ storeLocation: `${at.root}/../x` }, 'PARAMETER_INVALID storeLocation'],
      [{ storeLocation: 'F:\\backuptest' }, 'PARAMETER_INVALID storeLocation'],
      [{ storeLocation: 'a\u0000b' }, 'PARAMETER_INVALID storeLocation'],
      [{ name: '../evil' }, 'PARAMETER_INVALID name'],
      [{ name: 'a..b' }, 'PARAMETER_INVALID name'],
      [{ name: 'CON' }, 'PARAMETER_INVALID name'],
      [{ name: 'aux.txt' }, 'PARAMETER_INVALID name'],
      [{ name: 'n'.repeat(65) }, 'PARAMETER_INVALID name'],
      [{ name: 'nightly.partial' }, 'PARAMETER_INVALID name'],
      [{ name: 'Repo' }, 'PARAMETER_INVALID name'],
      [{ name: '' }, 'PARAMETER_INVALID name'],
      [{ name: undefined }, 'PARAMETER_INVALID name'],
      [{ backupSetting: { conflictStrategy: 'FAST_FAIL' } }, 'REQUEST_CONTENT_INVALID conflictStrategy'],
      [{ backupSetting: { errorStrategy: 'SKIP' } }, 'REQUEST_CONTENT_INVALID errorStrategy'],
      [{ backupSetting: { executionStrategy: 'SPECIFIED_TIME' } }, 'PARAMETER_INVALID executeTime'],
      [
        { backupSetting: { executionStrategy: 'SPECIFIED_TIME', executionPlan: { executeTime: at.clock.now() } } },
        'PARAMETER_INVALID executeTime',
      ],
      [
        { backupSetting: { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 0 0 30 2 ?' } } },
        'PARAMETER_INVALID cronExpression',
      ],
      [{ backupSetting: { layout: 'TAPE' } }, 'REQUEST_CONTENT_INVALID layout'],
      [{ backupSetting: { retention: {} } }, 'PARAMETER_INVALID retention'],
      [{ backupSetting: { retention: { keepLast: 0 } } }, 'PARAMETER_INVALID keepLast'],
      [{ backupSetting: { retention: { keepWithin: 'a week' } } }, 'PARAMETER_INVALID keepWithin'],
      [{ backupSetting: { rateLimit: -1 } }, 'PARAMETER_INVALID rateLimit'],
      [{ backupSetting: { readDataPercent: 101 } }, 'PARAMETER_INVALID readDataPercent'],
      [{ backupSetting: { subset: '3/2' } }, 'PARAMETER_INVALID subset'],
      [{ backupSetting: { targetProjectId: 'a b' } }, 'PARAMETER_INVALID targetProjectId'],
      [{ backupSetting: { dryRun: true } }, 'PARAMETER_INVALID backupSetting.dryRun'],
      [{ content: { ...content, incrementDate: '2999-01-01T00:00:00' } }, 'PARAMETER_INVALID incrementDate'],
    ] as const) {
      assert.equal(await refusal(at.create({ content, ...change })), expected, JSON.stringify(change))
    }
    assert.equal(await stored(at), 0)
    assert.deepEqual(await readdir(at.root), [])
  })

  it('given names that no file may have, when tasks are created, then the words say which rule they break', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    for (const [name, words] of [
      ['CON', /Windows keeps it for a device/],
      ['a..b', /two dots in a row/],
      ['-a', /a letter or digit first/],
    ] as const) {
      await assert.rejects(at.create({ name }), words)
    }
  })

  it('given settings of ours, when they are stored, then they come back as they were meant', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const retention = { keepLast: 3, keepDaily: null, keepWithin: '30d' }
    const id = await at.create({
      type: 'data-backup',
      content: { commonData: true, incrementDate: '2026-01-01T00:00:00', increment: false, unknown: 1 },
      backupSetting: { layout: 'repository', retention, rateLimit: 0, readDataPercent: 2.5, subset: '1/7' },
    })
    const { type, setting, content } = await at.get(id)
    assert.deepEqual([type, setting.layout, setting.rateLimit], ['DATA_BACKUP', 'REPOSITORY', null])
    assert.deepEqual([setting.readDataPercent, setting.subset], [2.5, '1/7'])
    assert.deepEqual([setting.retention?.keepLast, setting.retention?.keepWithin], [3, '30d'])
    assert.deepEqual([content.increment, content.incrementDate], [false, '2026-01-01T00:00:00'])
  })

  it('case 8: given a PENDING task, when it is executed twice at the same moment, then one run starts', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    const answers = await Promise.allSettled([at.tasks.execute(id, 'a'), at.tasks.execute(id, 'b')])
    assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal(await refusal(at.tasks.execute(id, 'c')), 'PARAMETER_INVALID state')
    await at.work()
    assert.equal(at.activity.runs.length, 1)
  })

  it('case 9: given a FINISHED task and an id that is none, when they are executed, then state and taskId are refused', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    await at.tasks.execute(id, 'admin')
    await at.work()
    assert.equal(await refusal(at.tasks.execute(id, 'admin')), 'PARAMETER_INVALID state')
    for (const call of ['execute', 'cancel', 'get', 'delete'] as const)
      assert.equal(await refusal(at.tasks[call]('unknown', 'admin')), 'PARAMETER_INVALID taskId', call)
    assert.equal(await refusal(at.tasks.pageRuns('unknown', PAGE)), 'PARAMETER_INVALID taskId')
    assert.equal(await refusal(at.tasks.cancel(id, 'admin')), 'PARAMETER_INVALID state')
  })

  it('given two tasks of one name and place, or two restores, when both are executed, then the second is refused until the first ended', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    await mkdir(join(at.root, 'run'))
    await writeFile(join(at.root, 'run', 'manifest.json'), '{}')
    const restore = { type: 'DATA_RESTORE', storeLocation: 'run' }
    for (const [one, other, words] of [
      [
        { name: 'same' },
        { name: 'same', storeLocation: `${at.root}/./nightly/` },
        /another DATA_BACKUP, called \[same\]/,
      ],
      [restore, restore, /another restore runs/],
    ] as const) {
      const first = await at.create(one)
      const second = await at.create(other)
      const elsewhere = await at.create({ name: 'same', storeLocation: 'weekly' })
      await at.tasks.execute(first, 'admin')
      await assert.rejects(at.tasks.execute(second, 'admin'), { code: 'LOCK_NOT_ACQUIRED', message: words })
      assert.equal((await at.get(second)).state, 'PENDING')
      await at.tasks.execute(elsewhere, 'admin')
      await at.work()
      await at.tasks.execute(second, 'admin')
      await at.work()
      assert.equal((await at.get(second)).result, 'SUCCESS')
    }
  })

  it('case 10: given 7 tasks, when they are listed, then the newest comes first, page by page and by state', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const ids: string[] = []
    for (let made = 0; made < 7; made++) ids.unshift(await at.create())
    await at.tasks.execute(ids[3]!, 'admin')
    await at.work()
    const all = await at.tasks.page(undefined, PAGE)
    assert.deepEqual(
      all.records.map(({ task }) => task.id),
      ids,
    )
    const { totalRecords, records } = await at.tasks.page(undefined, { pageNumber: 1, pageSize: 1 })
    assert.deepEqual([totalRecords, records.length], [7, 1])
    const finished = await at.tasks.page('FINISHED', PAGE)
    assert.deepEqual(
      finished.records.map(({ task, run }) => [task.id, run?.result]),
      [[ids[3], 'SUCCESS']],
    )
  })

  it('given a task that runs, when it is deleted, then that is refused; afterwards it goes with its runs', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    await at.tasks.execute(id, 'admin')
    assert.equal(await refusal(at.tasks.delete(id)), 'DELETION_REFUSED')
    await at.work()
    await at.tasks.delete(id)
    assert.equal(await stored(at), 0)
    assert.equal(await db.read.selectFrom('backup_run').select('id').executeTakeFirst(), undefined)
  })

  it('given a backup, when it is verified, then a task of that type is made and runs; two at once of one place are refused', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    await writeFile(join(at.root, 'a.zip'), '')
    const body = { location: 'a.zip', readDataPercent: 10, subset: '1/2', legacy: true }
    const { taskId } = await at.tasks.verify(body, 'admin')
    const { type, state, setting, name } = await at.get(taskId)
    assert.deepEqual([type, state, name], ['DATA_VERIFY', 'RUNNING', 'verify'])
    assert.deepEqual([setting.readDataPercent, setting.subset, setting.legacy], [10, '1/2', true])
    assert.equal(await refusal(at.tasks.verify(body, 'admin')), 'LOCK_NOT_ACQUIRED')
    assert.equal(await stored(at), 1)
    for (const location of [undefined, 'absent.zip', '../a.zip'])
      assert.equal(await refusal(at.tasks.verify({ location }, 'admin')), 'PARAMETER_INVALID location')
    await writeFile(join(at.root, 'a.txt'), '')
    assert.equal(await refusal(at.tasks.verify({ location: 'a.txt' }, 'admin')), 'PARAMETER_INVALID location')
  })

  it('given a restore into another project, when it names not just one, then it is refused', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    await mkdir(join(at.root, 'run'))
    await writeFile(join(at.root, 'run', 'manifest.json'), '{}')
    const restore = (projects: object[]) =>
      at.create({
        ...{ type: 'DATA_RESTORE', storeLocation: 'run', content: { projects } },
        backupSetting: { targetProjectId: 'other' },
      })
    assert.equal(await refusal(restore([{ projectRegex: '*' }])), 'PARAMETER_INVALID targetProjectId')
    assert.equal(await refusal(restore([{ projectId: 'a' }, { projectId: 'b' }])), 'PARAMETER_INVALID targetProjectId')
    await restore([{ projectId: 'a', repoList: ['x'] }, { projectId: 'a' }])
  })

  it('given runs that ended, when fares are asked for and old runs go, then the last of each task stays', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const strategy = { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 0 0 1 1 ?' } }
    const id = await at.create({ ...sampleBackup('yearly'), backupSetting: strategy })
    const ends: number[] = []
    for (const result of ['SUCCESS', 'FAILED'] as const) {
      at.activity.perform = async ({ progress }) => {
        progress.add({ bytes: 5 })
        return { result, errorReason: null, artifactLocation: null, report: null }
      }
      await at.clock.advance(1_000)
      await at.tasks.execute(id, 'admin')
      await at.work()
      ends.push(at.clock.now())
    }
    const [fare] = await listBackupFares(db.read)
    assert.deepEqual([fare?.name, fare?.type, fare?.lastResult], ['yearly', 'DATA_BACKUP', 'FAILED'])
    assert.deepEqual([fare?.lastSuccessAt, JSON.parse(fare!.lastProgress).bytes], [ends[0], 5])
    await db.transact((trx) => deleteOldBackupRuns(trx, at.clock.now() + 1))
    const left = await at.tasks.pageRuns(id, PAGE)
    assert.deepEqual(
      left.records.map(({ result, startedBy }) => [result, startedBy]),
      [['FAILED', 'admin']],
    )
    assert.equal(await at.claim(RUN_BACKUP), undefined)
  })
})
