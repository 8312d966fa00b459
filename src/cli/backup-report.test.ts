import assert from 'node:assert/strict'
import { it } from 'node:test'
import { reportLines } from './backup-report.ts'

const linesOf = (type: string, report: Record<string, unknown>) => reportLines({ type, report })

it('given a verification that found something, when it is shown, then objects, bytes and each finding have a line', () => {
  const findings = [
    { object: 'bk+store/aa/bb/aabb', reason: 'it is missing' },
    { object: '/b/run/x', reason: 'its bytes hash to y' },
  ]
  const verified = [{ path: '/b/run', objects: 9, bytes: 2048, findings, wrong: 2 }]
  assert.deepEqual(
    linesOf('DATA_VERIFY', { objects: 9, bytes: 2048, wrong: 2, readDataPercent: 100, subset: null, verified }),
    [
      'looked at: 9 objects, 2.0 KiB; read 100 % of the contents',
      '  /b/run: 9 objects, 2 things wrong',
      'found:     2 things wrong',
      'findings: 2',
      '  /b/run: bk+store/aa/bb/aabb: it is missing',
      '  /b/run/x: its bytes hash to y',
    ],
  )
})

it('given a restore, when it is shown, then counts are words, and errors and warnings are one a line', () => {
  const counts = { projects: 1, repos: 2, nodes: 7, versions: 0, bytes: 1024, success: 9, failed: 1, skipped: 0 }
  const errors = [{ path: 'hz/q', reason: 'it is left out' }]
  const report = { dryRun: false, counts: { ...counts, deleted: 3 }, errors, warnings: ['one thing'] }
  assert.deepEqual(linesOf('DATA_RESTORE', report), [
    'did:      1 project, 2 repositories, 7 files and folders, 3 deleted, 1 failed, 1.0 KiB',
    ...['errors: 1', '  hz/q: it is left out', 'warnings: 1', '  one thing'],
  ])
  assert.match(linesOf('DATA_RESTORE', { ...report, dryRun: true })[0]!, /^would do: 1 project/)
})

it('given a backup with more errors than fit, when it is shown, then the beginning and how many more', () => {
  const errors = Array.from({ length: 25 }, (_, at) => ({ path: `p/r/${at}`, reason: 'it is missing from the store' }))
  const lines = linesOf('DATA_BACKUP', { repos: 1, nodes: 30, contents: 5, kept: 2, bytes: 10, errors, warnings: [] })
  assert.equal(
    lines[0],
    'did:      1 repository, 30 files and folders, 5 contents written, 2 contents that were there, 10 B',
  )
  assert.deepEqual([lines.length, lines.at(-1)], [23, '  and 5 more (--json shows all)'])
})

it('given a prune, when it is shown, then what stays, why, what goes, and what became of the repository', () => {
  const sums = { snapshots: 1, objects: 4, bytes: 100, removed: 2, removedBytes: 50, unneeded: 3, rewritten: 0 }
  const repository = { mode: 'for real', ...sums, lost: [], damaged: ['pack'] }
  const kept = [{ path: '/b/n/1', reasons: ['last', 'daily'] }]
  assert.deepEqual(linesOf('DATA_PRUNE', { dryRun: false, kept, removed: ['/b/n/0'], repository }), [
    ...['kept: 1', '  /b/n/1 (last, daily)', 'removed: 1', '  /b/n/0'],
    'repository: 1 snapshot, 4 objects, 100 B',
    '  removed: 2 objects, 50 B; rewritten: 0; wait for their time of grace: 3',
    ...['damaged: 1', '  pack'],
  ])
  assert.deepEqual(linesOf('DATA_PRUNE', { dryRun: true, kept: [], removed: [], repository: null }), [
    'No runs are in this place: they lie in the storeLocation of a task',
  ])
})

it('given a drill, when it is shown, then what it compared and each difference', () => {
  const report = { backup: '/b/run', restored: 'SUCCESS', counts: { nodes: 2, bytes: 3 }, errors: [], warnings: [] }
  const differences = [{ path: 'p/r/a', reason: 'it is not there' }]
  assert.deepEqual(linesOf('DATA_DRILL', { ...report, files: 2, contentsRead: 2, samples: 1, wrong: 1, differences }), [
    'restored:  /b/run: SUCCESS',
    'compared:  2 files, 2 contents read, 1 version',
    'found:     1 thing wrong',
    ...['differences: 1', '  p/r/a: it is not there'],
    'did:      2 files and folders, 3 B',
  ])
})

it('given no report, or one of a type that is not known, when it is shown, then there is nothing, or what can be said', () => {
  assert.deepEqual(reportLines({ type: 'DATA_BACKUP', report: null }), [])
  assert.deepEqual(linesOf('DATA_NEW', { nodes: 2 }), ['did:      2 files and folders'])
})
