import { CLUSTER_TYPES, type ClusterType, DETECT_TYPES, type DetectType } from '../../clusters/cluster.ts'
import { checkCertificate, checkRemoteLogin, onlyEdgesReport } from '../../clusters/validate-cluster.ts'
import { invalid } from '../../core/errors.ts'
import type { RequestFields } from '../../core/request-fields.ts'
import type { ClusterRow } from '../../metadata/replication/clusters.ts'
import { checkOutgoingUrl } from '../../remotes/outgoing-url.ts'
import type { Authored } from '../records/documents.ts'
import {
  type Authorship,
  authored,
  authorshipIn,
  choiceIn,
  optionalText,
  type ParseTime,
  shortText,
} from './common-fields.ts'

/** A line of `cluster.json`. What a cluster was last seen to do stays behind. */
export interface ClusterDocument extends Authored {
  readonly name: string
  readonly type: ClusterType
  readonly url: string
  readonly username: string | null
  /** Packed (`SecretCarrier`), as `secretKey`. */
  readonly password: string | null
  readonly certificate: string | null
  readonly appId: string | null
  readonly accessKey: string | null
  readonly secretKey: string | null
  /** Bytes per second. */
  readonly rateLimit: number | null
  readonly detectType: DetectType
}
export type ClusterRecord = Omit<ClusterDocument, keyof Authored> & Authorship

/** As `clusters/validate-cluster.ts` takes them. */
const MIN_NAME_LENGTH = 2
const MAX_NAME_LENGTH = 256
const MAX_CERTIFICATE_LENGTH = 65_536
/** A secret of 1,024 characters, packed. */
const MAX_PACKED_LENGTH = 16_384

export function documentOfCluster(
  row: ClusterRow,
  packed: { readonly password: string | null; readonly secretKey: string | null },
): ClusterDocument {
  return {
    ...{ name: row.name, type: row.type as ClusterType, url: row.url, username: row.username },
    ...{ password: packed.password, certificate: row.certificate, appId: row.app_id },
    ...{ accessKey: row.access_key, secretKey: packed.secretKey, rateLimit: row.rate_limit },
    detectType: row.detect_type as DetectType,
    ...authored({
      ...{ createdBy: row.created_by, createdAt: row.created_at },
      ...{ modifiedBy: row.modified_by, modifiedAt: row.modified_at },
    }),
  }
}

/** @throws AppError naming the field. */
export function clusterIn(fields: RequestFields, parseTime: ParseTime): ClusterRecord {
  const name = shortText(fields, 'name', MAX_NAME_LENGTH)
  if (name.length < MIN_NAME_LENGTH) throw invalid('name', `at least ${MIN_NAME_LENGTH} characters`)
  const type = choiceIn(fields, 'type', CLUSTER_TYPES)
  const detectType = choiceIn(fields, 'detectType', DETECT_TYPES)
  if (detectType === 'REPORT' && type !== 'EDGE') throw onlyEdgesReport()
  const url = shortText(fields, 'url')
  checkOutgoingUrl('url', url, { allowPrivate: true })
  const certificate = optionalText(fields, 'certificate', MAX_CERTIFICATE_LENGTH)
  if (certificate !== null) checkCertificate(certificate)
  const username = optionalText(fields, 'username')
  checkRemoteLogin(username ?? undefined, undefined)
  const accessKey = optionalText(fields, 'accessKey')
  if (accessKey?.includes(':')) throw invalid('accessKey', 'it holds a colon, which no access key does')
  const rateLimit = fields.integer('rateLimit') ?? null
  if (rateLimit !== null && rateLimit <= 0) throw invalid('rateLimit', 'it must be positive')
  return {
    ...{ name, type, url, username, certificate, accessKey, rateLimit, detectType },
    appId: optionalText(fields, 'appId'),
    password: optionalText(fields, 'password', MAX_PACKED_LENGTH),
    secretKey: optionalText(fields, 'secretKey', MAX_PACKED_LENGTH),
    ...authorshipIn(fields, parseTime),
  }
}
