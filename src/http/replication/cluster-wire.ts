import { Type } from 'typebox'
import { CLUSTER_TYPES, type Cluster, DETECT_TYPES } from '../../clusters/cluster.ts'
import type { Dates } from '../dates.ts'

/** `ClusterNodeInfo` (replication.md 1.5). Passwords and secret keys are never part of it. */
export const toClusterInfo = (cluster: Cluster, dates: Dates) => ({
  id: cluster.id,
  name: cluster.name,
  status: cluster.status,
  errorReason: cluster.errorReason,
  type: cluster.type,
  url: cluster.url,
  username: cluster.username,
  certificate: cluster.certificate,
  rateLimit: cluster.rateLimit ?? 0,
  appId: cluster.appId,
  accessKey: cluster.accessKey,
  udpPort: null,
  extension: null,
  createdBy: cluster.createdBy,
  createdDate: dates.format(cluster.createdAt),
  lastModifiedBy: cluster.modifiedBy,
  lastModifiedDate: dates.format(cluster.modifiedAt),
  detectType: cluster.detectType,
  lastReportTime: dates.format(cluster.reportedAt),
})

const Text = Type.String()
const NullableText = Type.Union([Type.String(), Type.Null()])
const ClusterType = Type.Enum(CLUSTER_TYPES)

export const ClusterInfo = Type.Object({
  id: Text,
  name: Text,
  status: Type.Enum(['HEALTHY', 'UNHEALTHY']),
  errorReason: NullableText,
  type: ClusterType,
  url: Text,
  username: NullableText,
  certificate: NullableText,
  rateLimit: Type.Integer({ description: 'Bytes per second that one server sends there; 0: no limit' }),
  appId: NullableText,
  accessKey: NullableText,
  udpPort: Type.Null(),
  extension: Type.Null(),
  createdBy: Text,
  createdDate: Text,
  lastModifiedBy: Text,
  lastModifiedDate: Text,
  detectType: Type.Enum(DETECT_TYPES),
  lastReportTime: NullableText,
})

const optional = {
  certificate: Type.Optional(Type.String({ description: 'PEM certificate to trust for this cluster alone' })),
  username: Type.Optional(Type.String({ description: 'Of a cluster that reports: the user here that speaks for it' })),
  rateLimit: Type.Optional(
    Type.Integer({
      description: 'Bytes per second that one server sends there, of all tasks; 0: no limit',
      default: 0,
    }),
  ),
  password: Type.Optional(Type.String({ description: 'Kept encrypted, never shown; ****** keeps what is stored' })),
  appId: Type.Optional(Type.String({ description: 'Of a platform account over there' })),
  accessKey: Type.Optional(
    Type.String({ description: 'Key pair of that account in place of a password; it acts there for username' }),
  ),
  secretKey: Type.Optional(Type.String({ description: 'As password' })),
  detectType: Type.Optional(
    Type.Enum(DETECT_TYPES, { default: 'PING', description: 'REPORT: an EDGE that cannot be connected to' }),
  ),
  ping: Type.Optional(Type.Boolean({ default: true, description: 'Connect before storing' })),
}
const example = {
  name: 'beijing',
  url: 'https://beijing.example:8040',
  type: 'STANDALONE',
  username: 'admin',
  password: '…',
}

export const ClusterCreate = Type.Object(
  {
    name: Text,
    url: Text,
    type: Type.Enum(CLUSTER_TYPES, { description: 'STANDALONE, EDGE, or CENTER, of which there is one' }),
    ...optional,
  },
  { examples: [example] },
)
export const ClusterUpdate = Type.Object(
  { name: Text, url: Type.Optional(Text), ...optional },
  { examples: [{ name: 'beijing', url: 'https://beijing.example' }] },
)
