import { NotOurProtocol } from '../transport/failures.ts'
import { remoteText } from '../transport/remote-text.ts'
import type { AccessAnswer, AccessCounts } from './access-messages.ts'
import {
  type CheckAnswer,
  type HelloAnswer,
  type LogPosition,
  type OpenAnswer,
  SYNC_PROTOCOL,
  type SyncFeatures,
  type SyncLimits,
  type UploadAnswer,
  type UploadRequest,
} from './messages.ts'
import { otherProtocol } from './other-protocol.ts'

const MAX_PROTOCOLS = 16
/** Of ids, epochs and marks: they are stored as they come. */
const MAX_ID_CHARACTERS = 200
const MIB = 1024 * 1024
const LEAST_PART_BYTES = MIB
const MOST_PART_BYTES = 1024 * MIB

type Fields = Readonly<Record<string, unknown>>
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isId = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= MAX_ID_CHARACTERS && remoteText(value) === value

/** What a target says of itself. @throws NotOurProtocol for whatever is not such an answer, or of another protocol. */
export function readHello(data: unknown, url: string): HelloAnswer {
  const { protocols, clusterId, name, now, features, limits } = fieldsOf(data)
  if (!Array.isArray(protocols) || protocols.length > MAX_PROTOCOLS || !protocols.every(isCount)) {
    throw new NotOurProtocol(`${url} does not speak the sync protocol`)
  }
  if (!protocols.includes(SYNC_PROTOCOL)) {
    throw new NotOurProtocol(otherProtocol(url, protocols))
  }
  if (!isId(clusterId) || !isCount(now)) throw unclear(url, 'who it is')
  return {
    protocols,
    clusterId,
    name: remoteText(name),
    now,
    features: readFeatures(features),
    limits: readLimits(limits, url),
  }
}

function readFeatures(value: unknown): SyncFeatures {
  const said = fieldsOf(value)
  return {
    zstd: said.zstd === true,
    segments: said.segments === true,
    duplex: said.duplex === true,
    deletes: said.deletes === true,
    packages: said.packages === true,
    permissions: said.permissions === true,
    plans: said.plans === true,
    checks: said.checks === true,
    earlierRuns: said.earlierRuns === true,
    sealed: said.sealed === true,
  }
}

function readLimits(value: unknown, url: string): SyncLimits {
  const { frameBytes, inlineMaxBytes, partSizeBytes, batchItems, missingDigests } = fieldsOf(value)
  const isClear =
    isCount(frameBytes) &&
    isCount(inlineMaxBytes) &&
    isCount(partSizeBytes) &&
    isCount(batchItems) &&
    isCount(missingDigests)
  if (!isClear) throw unclear(url, 'its limits')
  return { frameBytes, inlineMaxBytes, partSizeBytes, batchItems, missingDigests }
}

/** @throws NotOurProtocol as `readHello`, or when it does not say where its log ends. */
export function readOpen(data: unknown, url: string): OpenAnswer {
  const { hello, head, pure, creates } = fieldsOf(data)
  // A target of protocol 1 takes the call, and says nothing of itself.
  if (hello === undefined) throw new NotOurProtocol(otherProtocol(url, [1]))
  const greeting = readHello(hello, url)
  if (creates !== undefined && creates !== null) {
    const nowhere = { epoch: '', seq: 0, mark: '' }
    return { hello: greeting, head: nowhere, pure: false, creates: { project: fieldsOf(creates).project === true } }
  }
  if (!isPosition(head) || typeof pure !== 'boolean') throw unclear(url, 'where its change log ends')
  const { epoch, seq, mark } = head
  return { hello: greeting, head: { epoch, seq, mark }, pure }
}

function isPosition(value: unknown): value is LogPosition {
  const { epoch, seq, mark } = fieldsOf(value)
  return isId(epoch) && epoch !== '' && isCount(seq) && isId(mark)
}

/** @throws NotOurProtocol unless it is about these bytes, in parts of 1 MiB to 1 GiB or as a whole. */
export function readUpload(data: unknown, { sha256, sizeBytes }: UploadRequest, url: string): UploadAnswer {
  const { uploadId, partSizeBytes, have, complete } = fieldsOf(data)
  if (uploadId !== sha256) throw unclear(url, 'which upload it means')
  if (!isCount(partSizeBytes) || !isPartSize(partSizeBytes, sizeBytes)) throw unclear(url, 'how large a part is')
  const parts = Math.ceil(sizeBytes / partSizeBytes)
  if (!Array.isArray(have) || !have.every((part) => isCount(part) && part < parts))
    throw unclear(url, 'which parts it has')
  if (typeof complete !== 'boolean') throw unclear(url, 'whether the upload is complete')
  return { uploadId, partSizeBytes, have, complete }
}
const isPartSize = (bytes: number, sizeBytes: number): boolean =>
  (bytes >= LEAST_PART_BYTES && bytes <= MOST_PART_BYTES) || (bytes > 0 && bytes === sizeBytes)

const CHANGES = ['created', 'updated', 'deleted', 'unchanged', 'kept'] as const

/** @throws NotOurProtocol unless it counts what became of each kind. */
export function readAccess(data: unknown, url: string): AccessAnswer {
  const counts = (value: unknown): AccessCounts => {
    const said = fieldsOf(value)
    if (!CHANGES.every((change) => isCount(said[change]))) throw unclear(url, 'what became of users and permissions')
    return Object.fromEntries(CHANGES.map((change) => [change, said[change]])) as unknown as AccessCounts
  }
  const { users, roles, permissions } = fieldsOf(data)
  return { users: counts(users), roles: counts(roles), permissions: counts(permissions) }
}

/** @throws NotOurProtocol unless it speaks of the `asked` digests. */
export function readCheck(data: unknown, asked: number, url: string): CheckAnswer {
  const { done, wrong, bytes } = fieldsOf(data)
  if (!isCount(done) || done > asked || !isCount(bytes) || !Array.isArray(wrong) || wrong.length > done) {
    throw unclear(url, 'which bytes it read')
  }
  const found = wrong.map((one) => {
    const { at, fault } = fieldsOf(one)
    if (!isCount(at) || at >= done || (fault !== 'DAMAGED' && fault !== 'MISSING')) throw unclear(url, 'what is wrong')
    return { at, fault } as const
  })
  return { done, wrong: found, bytes }
}

const unclear = (url: string, what: string): NotOurProtocol =>
  new NotOurProtocol(`${url} does not say ${what} as the sync protocol has it: it is no Entrepot, or another release`)
