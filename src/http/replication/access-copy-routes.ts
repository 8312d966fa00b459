import { type TSchema, Type } from 'typebox'
import { type AccessRequest, MAX_COPIED, MAX_COPIED_USERS } from '../../remotes/cluster/access-messages.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { answers, ok } from '../envelope.ts'
import type { Routes } from '../route.ts'

const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const text = (maxLength: number) => Type.String({ maxLength })
const filled = (maxLength: number) => Type.String({ minLength: 1, maxLength })
const list = (item: TSchema, maxItems = MAX_COPIED) => Type.Array(item, { maxItems })
const Name = filled(128)
const Flag = Type.Boolean()

const User = Type.Object({
  userId: filled(64),
  name: Name,
  passwordHash: filled(256),
  admin: nullable(Flag),
  locked: Flag,
  email: nullable(text(254)),
  phone: nullable(text(254)),
  group: Flag,
  members: list(filled(64)),
})
const Role = Type.Object({
  repo: nullable(Name),
  roleId: filled(64),
  name: filled(256),
  admin: Flag,
  description: nullable(text(256)),
  users: list(filled(64)),
})
const Permission = Type.Object({
  home: nullable(Name),
  name: Name,
  resourceType: Type.Enum(['SYSTEM', 'PROJECT', 'REPO', 'NODE', 'REPLICATION']),
  repos: list(Name),
  include: list(text(4096), 100),
  exclude: list(text(4096), 100),
  actions: list(filled(32), 16),
  users: list(filled(64)),
  roles: list(Type.Object({ repo: nullable(Name), roleId: filled(64) })),
})
const Body = Type.Object({
  sourceId: filled(64),
  copiedUsers: list(User, MAX_COPIED_USERS),
  copiedProjects: list(
    Type.Object({
      from: text(128),
      project: text(128),
      repos: list(Name, 1_000),
      roles: list(Role),
      permissions: list(Permission),
    }),
    1_000,
  ),
})

/** `PUT /sync/v1/permissions` (docs/design/sync-protocol.md). Administrators only: whoever gives rights must have them. */
export const accessCopyRoutes =
  ({ target }: { readonly target: Pick<SyncTarget, 'copyAccess'> }): Routes =>
  async (app) => {
    app.put(
      '/sync/v1/permissions',
      {
        schema: {
          tags: ['cluster to cluster'],
          summary: 'Users, roles and permissions as another cluster has them',
          response: answers(Type.Unknown()),
          body: Body,
        },
        config: { access: 'ADMIN', audit: 'always' },
      },
      async ({ body, principal }) => ok(await target.copyAccess(body as AccessRequest, principal.userId)),
    )
  }
