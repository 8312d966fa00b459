import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppError, invalid } from '../core/errors.ts'
import { createTimetable } from './schedule/timetable.ts'
import { checkTask, mentionedIn, type TaskFacts } from './validate-task.ts'

const NOW = Date.UTC(2026, 0, 1)

const facts: TaskFacts = {
  now: NOW,
  firings: createTimetable('UTC').firings,
  parseTime: (name, given) => {
    const ms = typeof given === 'string' ? Date.parse(`${given}Z`) : Number.NaN
    if (Number.isNaN(ms)) throw invalid(name)
    return ms
  },
  builtTypes: ['GENERIC'],
  nameIsTaken: false,
  projectExists: true,
  repositories: [
    { name: 'generic-local', type: 'GENERIC' },
    { name: 'second', type: 'GENERIC' },
    { name: 'maven-local', type: 'MAVEN' },
  ],
  clusters: [
    { id: 'id-1', name: 'shanghai', type: 'STANDALONE' },
    { id: 'id-2', name: 'beijing', type: 'STANDALONE' },
    { id: 'id-3', name: 'centre', type: 'CENTER' },
  ],
}

/** The sample of contract 000, for a repository of type GENERIC. */
const sample = {
  name: '计划',
  localProjectId: 'bkrepo',
  replicaObjectType: 'REPOSITORY',
  replicaTaskObjects: [
    {
      localRepoName: 'generic-local',
      remoteProjectId: 'bkrepo',
      remoteRepoName: 'generic-local',
      repoType: 'GENERIC',
      packageConstraints: [],
      pathConstraints: [],
    },
  ],
  replicaType: 'SCHEDULED',
  setting: {
    rateLimit: 0,
    includeMetadata: true,
    conflictStrategy: 'SKIP',
    errorStrategy: 'CONTINUE',
    executionStrategy: 'IMMEDIATELY',
    executionPlan: { executeImmediately: true },
  },
  remoteClusterIds: ['id-1', 'id-2'],
  enabled: true,
  description: 'test replica task',
}
const object = sample.replicaTaskObjects[0]!
const [minimalObject] = [{ localRepoName: 'generic-local' }]
const minimal = {
  name: 'minimal',
  localProjectId: 'bkrepo',
  replicaTaskObjects: minimalObject,
  remoteClusterIds: ['id-1'],
}
const withObject = (change: object) => ({ ...minimal, replicaTaskObjects: [{ ...minimalObject, ...change }] })
const withSetting = (setting: object) => ({ ...minimal, setting })
const withPlan = (executionStrategy: string | undefined, executionPlan: object) =>
  withSetting({ ...(executionStrategy === undefined ? {} : { executionStrategy }), executionPlan })
const path = (...pathConstraints: unknown[]) => ({
  ...minimal,
  replicaObjectType: 'PATH',
  replicaTaskObjects: [{ ...minimalObject, pathConstraints }],
})

describe('given a task request, when checked, then what is left out has its default', () => {
  it('the sample of the contract is taken as it is', () => {
    const plan = checkTask(sample, facts)
    assert.deepEqual(plan, {
      name: '计划',
      project: 'bkrepo',
      objectType: 'REPOSITORY',
      replicaType: 'SCHEDULED',
      objects: [
        {
          localRepo: 'generic-local',
          remoteProject: 'bkrepo',
          remoteRepo: 'generic-local',
          repoType: 'GENERIC',
          packageConstraints: [],
          pathConstraints: [],
        },
      ],
      targets: [
        { id: 'id-1', name: 'shanghai' },
        { id: 'id-2', name: 'beijing' },
      ],
      setting: {
        rateLimit: 0,
        includeMetadata: true,
        conflictStrategy: 'SKIP',
        errorStrategy: 'CONTINUE',
        executionStrategy: 'IMMEDIATELY',
        executionPlan: { executeImmediately: true, executeTime: null, cronExpression: null },
        storageConsistencyCheck: false,
        automaticCreateRemoteRepo: true,
        propagateDelete: false,
        deleteGuard: { maxCount: 100, maxShare: 0.1 },
        backfill: true,
        platforms: null,
      },
      description: 'test replica task',
      enabled: true,
      record: true,
      recordReserveDays: 30,
    })
  })

  it('the smallest request equals the sample but for what it says itself', () => {
    const plan = checkTask(minimal, facts)
    const { setting, record, recordReserveDays, enabled, objectType, replicaType } = checkTask(sample, facts)
    assert.deepEqual(
      { ...plan },
      {
        ...{ setting, record, recordReserveDays, enabled, objectType, replicaType },
        name: 'minimal',
        project: 'bkrepo',
        objects: [
          {
            localRepo: 'generic-local',
            remoteProject: 'bkrepo',
            remoteRepo: 'generic-local',
            repoType: 'GENERIC',
            packageConstraints: null,
            pathConstraints: null,
          },
        ],
        targets: [{ id: 'id-1', name: 'shanghai' }],
        description: null,
      },
    )
  })

  const accepted: [what: string, body: object, look: (plan: ReturnType<typeof checkTask>) => unknown, want: unknown][] =
    [
      [
        'enums in any case, with - for _',
        {
          ...minimal,
          replicaObjectType: 'repository',
          replicaType: 'scheduled',
          setting: { conflictStrategy: 'fast-fail', errorStrategy: 'Fast_Fail' },
        },
        ({ setting }) => [setting.conflictStrategy, setting.errorStrategy],
        ['FAST_FAIL', 'FAST_FAIL'],
      ],
      [
        'cluster names for ids, duplicates dropped',
        { ...minimal, remoteClusterIds: ['beijing', 'id-1', 'id-2', 'shanghai'] },
        ({ targets }) => targets.map(({ id }) => id),
        ['id-2', 'id-1'],
      ],
      ['`enable` for `enabled`', { ...minimal, enable: false }, ({ enabled }) => enabled, false],
      [
        'a null for everything optional',
        {
          ...minimal,
          replicaObjectType: null,
          replicaType: null,
          setting: null,
          enabled: null,
          description: null,
          record: null,
          recordReserveDays: null,
        },
        ({ enabled }) => enabled,
        true,
      ],
      ['unknown fields', { ...minimal, shoeSize: 42, setting: { hat: 'red' } }, ({ name }) => name, 'minimal'],
      ['a path as plain text', path('/a'), ({ objects }) => objects[0]?.pathConstraints, [{ path: '/a' }]],
      [
        'path constraints without a type: PATH',
        withObject({ pathConstraints: [{ path: 'a' }] }),
        ({ objectType }) => objectType,
        'PATH',
      ],
      [
        'constraints of a REPOSITORY task, which echoes REPOSITORY',
        { ...withObject({ pathConstraints: ['/a'] }), replicaObjectType: 'REPOSITORY' },
        ({ objectType, objects }) => [objectType, objects[0]?.pathConstraints],
        ['REPOSITORY', [{ path: '/a' }]],
      ],
      [
        'constraints per object where there are several',
        {
          ...minimal,
          replicaTaskObjects: [{ ...minimalObject, pathConstraints: ['/a'] }, { localRepoName: 'second' }],
        },
        ({ objectType, objects }) => [objectType, objects.length],
        ['REPOSITORY', 2],
      ],
      [
        'another project and repository at the target',
        withObject({ remoteProjectId: 'there', remoteRepoName: 'other.repo' }),
        ({ objects }) => [objects[0]?.remoteProject, objects[0]?.remoteRepo],
        ['there', 'other.repo'],
      ],
      [
        'a star above the last segment, which is a plain character',
        path('/a*/b'),
        ({ objects }) => objects[0]?.pathConstraints,
        [{ path: '/a*/b' }],
      ],
      ['a rate limit below zero: unlimited', withSetting({ rateLimit: -1 }), ({ setting }) => setting.rateLimit, -1],
      [
        'options set to their defaults',
        withSetting({ deleteGuard: { maxCount: 100 }, backfill: true, platforms: [], storageConsistencyCheck: false }),
        ({ setting }) => setting.deleteGuard,
        { maxCount: 100, maxShare: 0.1 },
      ],
      ['names of 2 and 256 characters', { ...minimal, name: 'x'.repeat(256) }, ({ name }) => name.length, 256],
      [
        'reserve days 1 and 60',
        { ...minimal, recordReserveDays: 60 },
        ({ recordReserveDays }) => recordReserveDays,
        60,
      ],
    ]
  for (const [what, body, look, want] of accepted) {
    it(`accepted: ${what}`, () => assert.deepEqual(look(checkTask(body, facts)), want))
  }

  it('case 34: given the path a//./x/../b/, when checked, then /a/b is stored', () => {
    assert.deepEqual(checkTask(path({ path: 'a//./x/../b/' }), facts).objects[0]?.pathConstraints, [{ path: '/a/b' }])
  })
})

describe('given a wrong task request, when checked, then it is refused by code and field', () => {
  type Refusal = [what: string, body: unknown, code: string, field?: string]
  const without = (name: string) => Object.fromEntries(Object.entries(sample).filter(([key]) => key !== name))
  const refused: Refusal[] = [
    ['no object', 'text', 'REQUEST_CONTENT_INVALID'],
    ['no body', undefined, 'REQUEST_CONTENT_INVALID'],
    ['name missing', without('name'), 'PARAMETER_MISSING', 'name'],
    ['name blank', { ...sample, name: ' ' }, 'PARAMETER_EMPTY', 'name'],
    ['name a number', { ...sample, name: 5 }, 'REQUEST_CONTENT_INVALID', 'name'],
    ['name with NUL', { ...sample, name: 'a\u0000b' }, 'PARAMETER_INVALID', 'name'],
    ['case 12: name of 1 character', { ...sample, name: 'x' }, 'PARAMETER_INVALID', 'name'],
    ['case 12: name of 257 characters', { ...sample, name: 'x'.repeat(257) }, 'PARAMETER_INVALID', 'name'],
    ['project missing', without('localProjectId'), 'PARAMETER_MISSING', 'localProjectId'],
    ['project blank', { ...sample, localProjectId: '' }, 'PARAMETER_EMPTY', 'localProjectId'],
    ['object type unknown', { ...sample, replicaObjectType: 'GALAXY' }, 'REQUEST_CONTENT_INVALID', 'replicaObjectType'],
    ['objects missing', without('replicaTaskObjects'), 'PARAMETER_MISSING', 'replicaTaskObjects'],
    ['objects empty', { ...sample, replicaTaskObjects: [] }, 'PARAMETER_EMPTY', 'replicaTaskObjects'],
    ['objects a number', { ...sample, replicaTaskObjects: 5 }, 'REQUEST_CONTENT_INVALID', 'replicaTaskObjects'],
    [
      'objects an array of text',
      { ...sample, replicaTaskObjects: ['x'] },
      'REQUEST_CONTENT_INVALID',
      'replicaTaskObjects',
    ],
    [
      'two objects for PATH',
      { ...sample, replicaObjectType: 'PATH', replicaTaskObjects: [object, object] },
      'REQUEST_CONTENT_INVALID',
      'replicaTaskObjects',
    ],
    [
      'over 1,000 objects',
      { ...sample, replicaTaskObjects: Array(1001).fill(object) },
      'PARAMETER_INVALID',
      'replicaTaskObjects',
    ],
    ['repository missing', withObject({ localRepoName: undefined }), 'PARAMETER_MISSING', 'localRepoName'],
    ['repository blank', withObject({ localRepoName: '  ' }), 'PARAMETER_EMPTY', 'localRepoName'],
    ['repository unknown', withObject({ localRepoName: 'nowhere' }), 'REPOSITORY_NOT_FOUND'],
    ['remote project no name', withObject({ remoteProjectId: 'a/b' }), 'PARAMETER_INVALID', 'remoteProjectId'],
    ['remote repository no name', withObject({ remoteRepoName: '../x' }), 'PARAMETER_INVALID', 'remoteRepoName'],
    ['another type than the repository has', withObject({ repoType: 'MAVEN' }), 'PARAMETER_INVALID', 'repoType'],
    ['a type nobody knows', withObject({ repoType: 'PUNCHCARD' }), 'REQUEST_CONTENT_INVALID', 'repoType'],
    [
      'PATH without constraints',
      { ...path(), replicaTaskObjects: [minimalObject] },
      'PARAMETER_MISSING',
      'pathConstraints',
    ],
    ['PATH with no constraint', path(), 'PARAMETER_EMPTY', 'pathConstraints'],
    ['PATH without a path', path({}), 'PARAMETER_MISSING', 'path'],
    ['case 34: a blank path', path(' '), 'PARAMETER_EMPTY', 'path'],
    ['case 34: a path of 65 levels', path(`/${'x/'.repeat(65)}`), 'PATH_INVALID'],
    ['a control character in a path', path('/a\nb'), 'PATH_INVALID'],
    ['NUL in a path', path('/a\u0000b'), 'PATH_INVALID'],
    ['over 10,000 paths', path(...Array(10_001).fill('/a')), 'PARAMETER_INVALID', 'pathConstraints'],
    ['pathRegex: no expression', path({ path: '/a', pathRegex: '(' }), 'PARAMETER_INVALID', 'pathRegex'],
    ['pathRegex: no text', path({ path: '/a', pathRegex: 7 }), 'REQUEST_CONTENT_INVALID', 'pathRegex'],
    ['pathRegex: too much', path({ path: '/a', pathRegex: '(a{0,900}){2}' }), 'PARAMETER_INVALID', 'pathRegex'],
    [
      'PACKAGE without constraints',
      { ...minimal, replicaObjectType: 'PACKAGE' },
      'PARAMETER_MISSING',
      'packageConstraints',
    ],
    [
      'PACKAGE with no constraint',
      { ...withObject({ packageConstraints: [] }), replicaObjectType: 'PACKAGE' },
      'PARAMETER_EMPTY',
      'packageConstraints',
    ],
    [
      'PACKAGE with a blank key',
      { ...withObject({ packageConstraints: [{ packageKey: '' }] }), replicaObjectType: 'PACKAGE' },
      'PARAMETER_EMPTY',
      'packageKey',
    ],
    [
      'PACKAGE with a blank version',
      {
        ...withObject({ packageConstraints: [{ packageKey: 'npm://a', versions: [''] }] }),
        replicaObjectType: 'PACKAGE',
      },
      'PARAMETER_EMPTY',
      'versions',
    ],
    ['replica type unknown', { ...sample, replicaType: 'NEVER' }, 'REQUEST_CONTENT_INVALID', 'replicaType'],
    ['setting no object', { ...sample, setting: 'fast' }, 'REQUEST_CONTENT_INVALID', 'setting'],
    ['rate limit no number', withSetting({ rateLimit: 'fast' }), 'REQUEST_CONTENT_INVALID', 'rateLimit'],
    ['metadata flag no flag', withSetting({ includeMetadata: 'yes' }), 'REQUEST_CONTENT_INVALID', 'includeMetadata'],
    [
      'conflict strategy unknown',
      withSetting({ conflictStrategy: 'MERGE' }),
      'REQUEST_CONTENT_INVALID',
      'conflictStrategy',
    ],
    ['delete guard below zero', withSetting({ deleteGuard: { maxCount: -1 } }), 'PARAMETER_INVALID', 'maxCount'],
    ['delete guard above one', withSetting({ deleteGuard: { maxShare: 2 } }), 'PARAMETER_INVALID', 'maxShare'],
    [
      'case 14: SPECIFIED_TIME in the past',
      withPlan('SPECIFIED_TIME', { executeTime: '2020-01-01T00:00:00.000' }),
      'PARAMETER_INVALID',
      'executeTime',
    ],
    ['SPECIFIED_TIME without a time', withPlan('SPECIFIED_TIME', {}), 'PARAMETER_MISSING', 'executeTime'],
    ['a time that is none', withPlan(undefined, { executeTime: 'tomorrow' }), 'PARAMETER_INVALID', 'executeTime'],
    [
      'case 14: bad cron',
      withPlan('CRON_EXPRESSION', { cronExpression: 'every day' }),
      'PARAMETER_INVALID',
      'cronExpression',
    ],
    [
      'bad cron, strategy inferred',
      withPlan(undefined, { cronExpression: '0 0 25 * * ?' }),
      'PARAMETER_INVALID',
      'cronExpression',
    ],
    [
      'cron of a day that no year has',
      withPlan(undefined, { cronExpression: '0 0 0 30 2 ?' }),
      'PARAMETER_INVALID',
      'cronExpression',
    ],
    ['cron L-3', withPlan(undefined, { cronExpression: '0 0 0 L-3 * ?' }), 'PARAMETER_INVALID', 'cronExpression'],
    ['cron missing', withPlan('CRON_EXPRESSION', {}), 'PARAMETER_MISSING', 'cronExpression'],
    ['cron blank', withPlan('CRON_EXPRESSION', { cronExpression: ' ' }), 'PARAMETER_EMPTY', 'cronExpression'],
    [
      'case 14: IMMEDIATELY with executeImmediately=false',
      withPlan('IMMEDIATELY', { executeImmediately: false }),
      'PARAMETER_INVALID',
      'executeImmediately',
    ],
    ['clusters missing', without('remoteClusterIds'), 'PARAMETER_MISSING', 'remoteClusterIds'],
    ['clusters empty', { ...sample, remoteClusterIds: [] }, 'PARAMETER_EMPTY', 'remoteClusterIds'],
    ['clusters no array', { ...sample, remoteClusterIds: 'id-1' }, 'REQUEST_CONTENT_INVALID', 'remoteClusterIds'],
    ['case 13: unknown cluster', { ...sample, remoteClusterIds: ['id-9'] }, 'CLUSTER_NOT_FOUND'],
    ['a CENTER as target', { ...sample, remoteClusterIds: ['centre'] }, 'PARAMETER_INVALID', 'remoteClusterIds'],
    ['enabled no flag', { ...sample, enabled: 'yes' }, 'REQUEST_CONTENT_INVALID', 'enabled'],
    ['case 54: reserve days 0', { ...sample, recordReserveDays: 0 }, 'PARAMETER_INVALID', 'recordReserveDays'],
    ['case 54: reserve days 61', { ...sample, recordReserveDays: 61 }, 'PARAMETER_INVALID', 'recordReserveDays'],
    [
      'EDGE_PULL for all edges, where there are none',
      { ...sample, replicaType: 'EDGE_PULL', remoteClusterIds: [] },
      'PARAMETER_EMPTY',
      'remoteClusterIds',
    ],
    ['EDGE_PULL for what is no edge', { ...sample, replicaType: 'EDGE_PULL' }, 'PARAMETER_INVALID', 'remoteClusterIds'],
    ['reserved: FEDERATION', { ...sample, replicaType: 'FEDERATION' }, 'OPTION_NOT_BUILT'],
    [
      'package constraints of a repository without packages',
      withObject({ packageConstraints: ['npm://a'] }),
      'PARAMETER_INVALID',
      'packageKey',
    ],
    [
      'a key of another scheme than the repository',
      withObject({ localRepoName: 'maven-local', repoType: 'MAVEN', packageConstraints: [{ packageKey: 'npm://a' }] }),
      'PARAMETER_INVALID',
      'packageKey',
    ],
    ['not built: a repository type without a format', withObject({ localRepoName: 'maven-local' }), 'OPTION_NOT_BUILT'],
    ['not built: sourceFilter', withObject({ sourceFilter: ['x'] }), 'OPTION_NOT_BUILT'],
    ...['linux', 'linux/arm/v7/x', 'Linux/arm64', 'linux/', '', 'linux/arm 64'].map(
      (platform): Refusal => [
        `no platform: [${platform}]`,
        withSetting({ platforms: [platform] }),
        'PARAMETER_INVALID',
        'platforms',
      ],
    ),
    [
      'platforms for a repository without images',
      withSetting({ platforms: ['linux/arm64'] }),
      'PARAMETER_INVALID',
      'platforms',
    ],
  ]
  for (const [what, body, code, field] of refused) {
    it(`${what}: ${code}`, () => {
      assert.throws(
        () => checkTask(body, facts),
        (error) => {
          assert.ok(error instanceof AppError, String(error))
          assert.equal(error.code, code, error.message)
          if (field !== undefined) {
            assert.equal(error.detail.name, field)
            assert.match(error.message, new RegExp(field))
          }
          return true
        },
      )
    })
  }

  it('case 12: given a name that is taken, when checked, then 250107 comes before the length', () => {
    assert.throws(() => checkTask({ ...sample, name: 'x' }, { ...facts, nameIsTaken: true }), {
      code: 'RESOURCE_EXISTED',
    })
  })
  it('given a description of 10,000 characters and one of more, when checked, then the first is taken, the other is 250105', () => {
    assert.equal(checkTask({ ...sample, description: 'x'.repeat(10_000) }, facts).description?.length, 10_000)
    const tooLong = () => checkTask({ ...sample, description: 'x'.repeat(10_001) }, facts)
    assert.throws(tooLong, /\[description\].*10000/)
  })

  it('given a project that does not exist, when checked, then it is refused before the objects', () => {
    const body = { ...sample, replicaTaskObjects: [] }
    assert.throws(() => checkTask(body, { ...facts, projectExists: false }), { code: 'PROJECT_NOT_FOUND' })
  })
  it('given an option that is not built in a request that is wrong otherwise, when checked, then the mistake is named', () => {
    const body = { ...sample, replicaType: 'REAL_TIME', remoteClusterIds: ['id-9'] }
    assert.throws(() => checkTask(body, facts), { code: 'CLUSTER_NOT_FOUND' })
  })
})

describe('given an update', () => {
  const stored = {
    ...checkTask(sample, facts),
    setting: checkTask(withSetting({ conflictStrategy: 'OVERWRITE' }), facts).setting,
  }
  const update = { ...minimal, key: 'k' }
  it('when optional fields are absent, then they stay as stored', () => {
    const plan = checkTask(update, facts, { ...stored, enabled: false, record: false, recordReserveDays: 7 })
    assert.equal(plan.setting.conflictStrategy, 'OVERWRITE')
    assert.equal(plan.description, 'test replica task')
    assert.deepEqual([plan.enabled, plan.record, plan.recordReserveDays], [false, false, 7])
  })
  it('when a setting is given, then it replaces the stored one as a whole; type and switch stay', () => {
    const plan = checkTask({ ...update, setting: {}, enabled: false, replicaType: 'REAL_TIME' }, facts, stored)
    assert.equal(plan.setting.conflictStrategy, 'SKIP')
    assert.deepEqual([plan.replicaType, plan.enabled], ['SCHEDULED', true])
  })
})

it('given any body, when it is searched for what it mentions, then nonsense is left out', () => {
  assert.deepEqual(mentionedIn(sample), {
    name: '计划',
    project: 'bkrepo',
    repositories: ['generic-local'],
    clusters: ['id-1', 'id-2'],
  })
  const nothing = { name: '', project: '', repositories: [], clusters: [] }
  for (const body of [
    undefined,
    null,
    5,
    'x',
    [],
    { name: 5, replicaTaskObjects: [null, 5], remoteClusterIds: { a: 1 } },
    { name: 'a\u0000' },
  ]) {
    assert.deepEqual(mentionedIn(body), nothing)
  }
})
