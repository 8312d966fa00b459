import { type TSchema, Type } from 'typebox'
import { packageNameOf, parsePackagePath } from '../../core/package-key.ts'
import type { EventRow } from '../../metadata/replication/events.ts'
import type { FailureRow } from '../../metadata/replication/failure-pages.ts'
import type { FailureKind } from '../../metadata/tables/replication.ts'
import { eventIdOf } from '../../tasks/events.ts'
import type { Dates } from '../dates.ts'

/** What failed: an artifact at a path, a package's version, or a repository's copy as a whole. */
export const FAILURE_TYPES = ['PATH', 'PACKAGE', 'REPOSITORY'] as const
export const KINDS_OF: Readonly<Record<(typeof FAILURE_TYPES)[number], readonly FailureKind[]>> = {
  PATH: ['FILE', 'DELETION'],
  PACKAGE: ['VERSION'],
  REPOSITORY: ['LINK'],
}
const typeOf = (kind: FailureKind) => FAILURE_TYPES.find((type) => KINDS_OF[type].includes(kind))!

/** The artifact, as constraints of a task name it. */
function constraintsOf({ kind, path }: { readonly kind: FailureKind | null; readonly path: string }) {
  const pack = parsePackagePath(path)
  if (pack !== undefined) {
    const versions = pack.version === undefined ? [] : [pack.version]
    return { packageConstraint: { packageKey: pack.key as string, versions }, pathConstraint: null }
  }
  return { packageConstraint: null, pathConstraint: kind === 'LINK' ? null : { path } }
}

/** `FailureRecord` (replication.md 1.6). `nextRetryDate` is ours: null when it is not tried again by itself. */
export const toFailureInfo = (failure: FailureRow, dates: Dates) => ({
  id: failure.id,
  taskKey: failure.taskKey,
  remoteClusterId: failure.clusterId,
  projectId: failure.project ?? '',
  repoName: failure.repo ?? '',
  remoteProjectId: failure.remoteProject,
  remoteRepoName: failure.remoteRepo,
  failureType: typeOf(failure.kind),
  ...constraintsOf(failure),
  failureReason: failure.reason,
  retryCount: failure.attempts - 1,
  retrying: failure.retrying,
  createdDate: dates.format(failure.createdAt),
  lastModifiedDate: dates.format(failure.modifiedAt),
  nextRetryDate: dates.format(failure.dueAt),
})

const OPS = {
  1: 'NODE_CREATED',
  2: 'NODE_DELETED',
  3: 'METADATA_SAVED',
  4: 'VERSION_CREATED',
  5: 'VERSION_DELETED',
  6: 'PACKAGE_UPDATED',
  7: 'PACKAGE_DELETED',
} as const
const OF_KIND = { FILE: 1, DELETION: 2, VERSION: 4, LINK: 1 } as const satisfies Record<FailureKind, keyof typeof OPS>

/** `EventRecord` (replication.md 1.6). Events that succeeded are gone. */
export const toEventInfo = (event: EventRow, dates: Dates) => ({
  id: eventIdOf(event),
  messageId: null,
  eventType: 'NORMAL',
  event: {
    type: OPS[event.op ?? OF_KIND[event.kind ?? 'FILE']],
    projectId: event.project ?? '',
    repoName: event.repo ?? '',
    resourceKey: resourceOf(event.path),
  },
  taskKey: event.taskKey,
  taskCompleted: event.failureId !== null,
  taskSucceeded: false,
  retryCount: Math.max(0, event.attempts - 1),
  retrying: false,
  createdDate: dates.format(event.createdAt),
  lastModifiedDate: dates.format(event.modifiedAt),
})

function resourceOf(path: string): string {
  const pack = parsePackagePath(path)
  if (pack === undefined) return path
  return pack.version === undefined ? packageNameOf(pack.key) : `${packageNameOf(pack.key)}-${pack.version}`
}

const Text = Type.String()
const Count = Type.Integer()
const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])

export const FailureInfo = Type.Object({
  id: Text,
  taskKey: Text,
  remoteClusterId: Text,
  projectId: Text,
  repoName: Text,
  remoteProjectId: Text,
  remoteRepoName: Text,
  failureType: Type.Enum(FAILURE_TYPES),
  packageConstraint: nullable(Type.Object({ packageKey: Text, versions: Type.Array(Text) })),
  pathConstraint: nullable(Type.Object({ path: Text })),
  failureReason: nullable(Text),
  retryCount: Count,
  retrying: Type.Boolean({ description: 'A run that looks at it is in progress' }),
  createdDate: Text,
  lastModifiedDate: Text,
  nextRetryDate: nullable(Type.String({ description: 'Null: not by itself any more' })),
})
export const EventInfo = Type.Object({
  id: Text,
  messageId: Type.Null(),
  eventType: Type.Enum(['NORMAL', 'FEDERATION']),
  event: Type.Object({ type: Text, projectId: Text, repoName: Text, resourceKey: Text }),
  taskKey: Text,
  taskCompleted: Type.Boolean({ description: 'It was tried' }),
  taskSucceeded: Type.Boolean(),
  retryCount: Count,
  retrying: Type.Boolean(),
  createdDate: Text,
  lastModifiedDate: Text,
})
