import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CliFailure } from './cli-failure.ts'
import { type TaskOptions, taskBody } from './task-body.ts'

const NONE: TaskOptions = { from: [], to: [], path: [], package: [], metadata: true }
const body = (options: Partial<TaskOptions>) => taskBody('the task', { ...NONE, ...options })

it('given a repository and a cluster, when a body is made, then it says no more than that', () => {
  assert.deepEqual(body({ from: ['demo/files'], to: ['beta'] }), {
    name: 'the task',
    localProjectId: 'demo',
    replicaTaskObjects: [{ localRepoName: 'files' }],
    remoteClusterIds: ['beta'],
    enabled: true,
    setting: {},
  })
})

it('given every option, when a body is made, then each is where the contract has it', () => {
  const made = body({
    ...{
      from: ['demo/files'],
      to: ['beta:copy/there', 'gamma:copy/there'],
      type: 'run-once',
      at: '2030-01-01T00:00:00',
    },
    ...{ path: ['/a', '/b'], package: ['npm://@scope/x', 'npm://@scope/x@1.0.0,1.1.0'], conflict: 'overwrite' },
    ...{ error: 'fast_fail', rate: 1_000, metadata: false, deletes: true, description: 'why', off: true },
  })
  assert.deepEqual(made, {
    name: 'the task',
    localProjectId: 'demo',
    replicaTaskObjects: [
      {
        localRepoName: 'files',
        remoteProjectId: 'copy',
        remoteRepoName: 'there',
        pathConstraints: [{ path: '/a' }, { path: '/b' }],
        packageConstraints: [
          { packageKey: 'npm://@scope/x' },
          { packageKey: 'npm://@scope/x', versions: ['1.0.0', '1.1.0'] },
        ],
      },
    ],
    remoteClusterIds: ['beta', 'gamma'],
    replicaType: 'RUN_ONCE',
    description: 'why',
    enabled: false,
    setting: {
      executionPlan: { executeTime: '2030-01-01T00:00:00' },
      conflictStrategy: 'OVERWRITE',
      errorStrategy: 'FAST_FAIL',
      rateLimit: 1_000,
      includeMetadata: false,
      propagateDelete: true,
    },
  })
})

it('given what one task cannot do, when a body is made, then it is refused as a mistake of the command line', () => {
  for (const options of [
    { to: ['beta'] },
    { from: ['demo/files'] },
    { from: ['demo/files', 'other/files'], to: ['beta'] },
    { from: ['demo'], to: ['beta'] },
    { from: ['demo/files'], to: ['beta:copy/there', 'gamma'] },
    { from: ['demo/files', 'demo/more'], to: ['beta:copy/there'] },
    { from: ['demo/files'], to: ['beta'], cron: '0 2 * * *', at: '2030-01-01T00:00:00' },
  ]) {
    assert.throws(
      () => body(options),
      (error) => error instanceof CliFailure && error.exitCode === 2,
    )
  }
})
