import { Type } from 'typebox'
import type { Distribution } from '../../tasks/distributions/distribution.ts'
import { REPLICA_TYPES } from '../../tasks/task.ts'
import type { Dates } from '../dates.ts'
import { nullable, TaskConstraints, TaskSettingBody } from './task-schemas.ts'
import { toPackageConstraint, toPathConstraint, toSetting } from './task-wire.ts'

/** `RemoteInfo` (contract 001, replication.md 1.4), keys in the order of the contract's sample. Passwords are never shown. */
export function toRemoteInfo({ origin, task, object, registry }: Distribution, dates: Dates) {
  const isCluster = origin.kind === 'cluster'
  const [target] = task.targets
  return {
    projectId: task.project,
    repoName: object.localRepo,
    name: origin.name,
    registry: registry?.url ?? null,
    clusterId: isCluster ? (target?.id ?? null) : null,
    clusterName: isCluster ? (target?.name ?? null) : null,
    remoteProjectId: isCluster ? object.remoteProject : null,
    remoteRepoName: isCluster ? object.remoteRepo : null,
    certificate: registry?.certificate ?? null,
    username: registry?.username ?? null,
    password: null,
    packageConstraints: object.packageConstraints?.map(toPackageConstraint) ?? null,
    pathConstraints: object.pathConstraints?.map(toPathConstraint) ?? null,
    replicaType: task.replicaType,
    setting: toSetting(task.setting, dates),
    description: task.description,
    enable: task.enabled,
  }
}

const Text = Type.String()
const orNone = Type.Optional(nullable(Text))

/** For the OpenAPI document; bodies are checked by `tasks/distributions/distribution-request.ts`. */
const TARGET = {
  clusterId: Type.Optional(nullable(Type.String({ description: 'One of this and registry' }))),
  registry: Type.Optional(nullable(Type.String({ examples: ['registry.example:5000/mirror'] }))),
  username: orNone,
  password: orNone,
  certificate: Type.Optional(nullable(Type.String({ description: 'PEM; trusted for this registry only' }))),
  ping: Type.Optional(Type.Boolean({ default: true, description: 'Connect before storing' })),
  remoteUserUsername: orNone,
  remoteUserPassword: orNone,
  remoteProjectId: Type.Optional(nullable(Type.String({ description: 'With clusterId' }))),
  remoteRepoName: Type.Optional(nullable(Type.String({ description: 'With clusterId' }))),
}
const UPDATE = {
  ...TARGET,
  ...TaskConstraints,
  replicaObjectType: orNone,
  replicaType: Type.Optional(Type.Enum(REPLICA_TYPES, { default: 'REAL_TIME' })),
  setting: Type.Optional(TaskSettingBody),
  enable: Type.Optional(Type.Boolean({ default: true })),
  description: orNone,
}
export const DistributionUpdate = Type.Object(UPDATE)
export const DistributionCreate = Type.Object(
  { configs: Type.Array(Type.Object({ name: Text, ...UPDATE })) },
  {
    examples: [
      {
        configs: [
          {
            name: 'mirrors',
            registry: 'registry.example:5000/mirror',
            username: 'robot',
            password: '******',
            packageConstraints: [],
            pathConstraints: [],
            replicaType: 'REAL_TIME',
            enable: true,
            description: 'every push goes to the mirror',
          },
        ],
      },
    ],
  },
)
export const RunOnceCreate = Type.Object(
  {
    name: Text,
    ...TARGET,
    packageName: Type.Optional(nullable(Type.String({ description: 'Without scheme; together with versions' }))),
    versions: Type.Optional(nullable(Type.Array(Text))),
    targetVersions: Type.Optional(
      nullable(Type.Array(Text, { description: 'Tags at the registry, in place of the only version' })),
    ),
    pathConstraints: TaskConstraints.pathConstraints,
    replicaObjectType: orNone,
    setting: Type.Optional(TaskSettingBody),
    description: Type.Optional(nullable(Type.String({ description: 'Where the request comes from' }))),
  },
  {
    examples: [
      { name: 'nginx-1.1', registry: 'registry.example:5000/mirror', packageName: 'nginx', versions: ['1.1'] },
    ],
  },
)
export const RemoteInfo = Type.Object({
  projectId: Text,
  repoName: Text,
  name: Text,
  registry: nullable(Text),
  clusterId: nullable(Text),
  clusterName: nullable(Type.String({ description: 'Its id, when it was deleted' })),
  remoteProjectId: nullable(Text),
  remoteRepoName: nullable(Text),
  certificate: nullable(Text),
  username: nullable(Text),
  password: Type.Null({ description: 'Never shown' }),
  ...TaskConstraints,
  replicaType: Type.Enum(REPLICA_TYPES),
  setting: TaskSettingBody,
  description: nullable(Text),
  enable: Type.Boolean(),
})
