import assert from 'node:assert/strict'
import { it } from 'node:test'
import { canonicalUrl } from './aliases.ts'

const rows: readonly [string, string][] = [
  ['/replication/api/task/create', '/replication/api/task/create'],
  ['/replication/replication/api/task/create', '/replication/api/task/create'],
  ['/replication/replication/replication/api/task/create', '/replication/api/task/create'],
  ['/api/task/page/p?pageSize=1', '/replication/api/task/page/p?pageSize=1'],
  ['/api/task/record/list/k', '/replication/api/task/record/list/k'],
  ['/api/cluster/list', '/replication/api/cluster/list'],
  ['/api/cluster?x', '/replication/api/cluster?x'],
  ['/api/remote/distribution/create/p/r', '/replication/api/remote/distribution/create/p/r'],
  ['/task/connect/test', '/replication/task/connect/test'],
  ['/replication/task/list', '/replication/task/list'],
  ['/api/node/detail/p/r/a', '/repository/api/node/detail/p/r/a'],
  ['/api/project/list', '/repository/api/project/list'],
  ['/repository/repository/api/repo/list', '/repository/api/repo/list'],
  ['/api/user/list', '/auth/api/user/list'],
  ['/api/other/x', '/api/other/x'],
  ['/api', '/api'],
  ['/v2/api/task/nginx/manifests/1', '/v2/api/task/nginx/manifests/1'],
  ['/task', '/task'],
  ['/replication/replicationx/y', '/replication/replicationx/y'],
  ['/generic/p/r/../../api/task/x', '/generic/p/r/../../api/task/x'],
  ['/generic/replication/replication/a', '/generic/replication/replication/a'],
  ['/generic/p/r/a%2Fb//c;d', '/generic/p/r/a%2Fb//c;d'],
  ['http://host:8040/api/task/x?y', '/replication/api/task/x?y'],
  ['http://host', '/'],
  ['http://host?x', '/?x'],
  ['*', '*'],
]
for (const [from, to] of rows) {
  it(`given ${from}, when its alias is resolved, then it is ${to}`, () => assert.equal(canonicalUrl(from), to))
}
