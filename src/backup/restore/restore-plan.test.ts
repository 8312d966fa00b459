import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CONTENT, SETTING, selector } from '../../../test/helpers/backup-activity.ts'
import { hasCode } from '../../core/errors.ts'
import type { RepositorySelector } from '../tasks/backup-task.ts'
import { planRestore } from './restore-plan.ts'

const FILES = ['p1/r1', 'p1/r2', 'p10/r1', 'p2/r1'].flatMap((place) => [
  `${place}/project.json`,
  `${place}/repository.json`,
  `${place}/node.json`,
])
function plan(given: readonly Partial<RepositorySelector>[], targetProjectId: string | null = null, files = FILES) {
  const content = { ...CONTENT, projects: given.map(selector) }
  return planRestore(files, { content, setting: { ...SETTING, targetProjectId } })
}
const placesOf = ({ repositories }: ReturnType<typeof plan>) =>
  repositories.map(({ project, repo, target }) => (target === project ? `${project}/${repo}` : `${target}/${repo}`))

it('case 14: given the same patterns as a backup takes, when a restore is planned, then the same repositories are chosen', () => {
  assert.deepEqual(placesOf(plan([{ projectRegex: 'p1' }])), ['p1/r1', 'p1/r2'])
  assert.deepEqual(placesOf(plan([{ projectRegex: 'p1*' }])), ['p1/r1', 'p1/r2', 'p10/r1'])
  assert.deepEqual(placesOf(plan([{ projectRegex: 'p(1|2)' }])), ['p1/r1', 'p1/r2', 'p2/r1'])
  assert.deepEqual(placesOf(plan([{ excludeProjects: ['p2'], excludeRepos: ['r1'] }])), ['p1/r2'])
})

it('given names that the backup lacks, when planned, then each is a warning', () => {
  const { warnings, repositories } = plan([{ projectId: 'p9' }, { projectId: 'p1', repoList: ['r1', 'r9'] }])
  assert.deepEqual(warnings, ['project [p9] is not in the backup', 'repository [p1/r9] is not in the backup'])
  assert.equal(repositories.length, 1)
  assert.deepEqual(plan([{ projectRegex: 'x' }]).warnings, ['the task selects no repository of the backup'])
})

it('given another project as target, when one project is chosen, then it goes there; several are refused', () => {
  assert.deepEqual(placesOf(plan([{ projectId: 'p1' }], 'copy')), ['copy/r1', 'copy/r2'])
  assert.throws(
    () => plan([{ projectRegex: '*' }], 'copy'),
    (error) => hasCode(error, 'PARAMETER_INVALID') && /targetProjectId/.test(error.message),
  )
})

it('given paths that name no repository, when planned, then they are never looked at', () => {
  const odd = ['../../etc/node.json', 'p1/../node.json', 'p1/r1/x/node.json', 'bk+store/aa/node.json', 'p1/r1/odd.json']
  assert.deepEqual(placesOf(plan([{ projectRegex: '*' }], null, odd)), [])
})

it('given repositories with names that none may have, when planned, then those that are chosen are told, once each', () => {
  const odd = ['hz/q/node.json', 'hz/q/project.json', '1a/files/node.json', 'p1/r1/node.json', 'gr ü/n', 'user.json']
  const all = plan([{ projectRegex: '*' }], null, odd)
  assert.deepEqual(all.misnamed, ['hz/q', '1a/files', 'gr ü/n'])
  assert.deepEqual([placesOf(all), all.holdsRepositories], [['p1/r1'], true])
  assert.deepEqual(plan([{ projectId: 'hz' }], null, odd.slice(0, 3)).misnamed, ['hz/q'])
  assert.equal(plan([{ projectRegex: '*' }], null, ['user.json']).holdsRepositories, false)
})
