import { AppError } from '../../core/errors.ts'
import type { Metadata, MetadataEntry } from '../../core/metadata.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'

const FORBID_STATUS = 'forbidStatus'

/** Set by the server, or by managers through calls of their own (core.md 8). Headers lose their case, so it does not count. */
const SYSTEM_KEYS: ReadonlySet<string> = new Set(
  ['scanStatus', 'qualityRedLine', FORBID_STATUS, 'forbidUser', 'forbidType'].map((key) => key.toLowerCase()),
)

/** @throws AppError METADATA_INVALID for a key that is not for users to set. */
export function refuseSystemKeys(keys: readonly string[], base: Metadata = []): void {
  const held = new Set(base.filter(({ system }) => system === true).map(({ key }) => key.toLowerCase()))
  const system = keys.find((key) => SYSTEM_KEYS.has(key.toLowerCase()) || held.has(key.toLowerCase()))
  if (system !== undefined)
    throw new AppError('METADATA_INVALID', `Metadata is invalid: the key [${system}] is the system's`, {})
}

/** Whether a file may be downloaded, by the word of somebody; the reason goes into the description. */
export interface Verdict extends Pick<MetadataEntry, 'description' | 'link' | 'color'> {
  readonly forbidden: boolean
  readonly by: string
}

export function verdictEntries({ forbidden, by, ...shown }: Verdict): MetadataEntry[] {
  return [
    { key: FORBID_STATUS, value: forbidden, system: true, ...shown },
    { key: 'forbidUser', value: by, system: true },
    { key: 'forbidType', value: 'MANUAL', system: true },
  ]
}

/** @throws AppError ARTIFACT_FORBIDDEN. */
export function allowed<T extends Pick<NodeRecord, 'metadata' | 'path'>>(file: T): T {
  if (file.metadata.some(({ key, value }) => key === FORBID_STATUS && value === true)) {
    throw new AppError('ARTIFACT_FORBIDDEN', `Artifact [${file.path}] is forbidden`, { path: file.path })
  }
  return file
}
