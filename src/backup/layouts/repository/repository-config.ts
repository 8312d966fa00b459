import { AppError } from '../../../core/errors.ts'
import { isObjectId } from './sealed-object.ts'
import { readSummedJson, summedJson } from './summed-json.ts'

export const CONFIG = 'config'
const FORMAT = 'entrepot-backup-repository'
const VERSION = 1

/** What a repository is, for ever. */
export interface RepositoryConfig {
  /** 32 hex digits. */
  readonly id: string
  readonly sealing: 'AES-256-GCM' | 'NONE'
}

export const configBytes = ({ id, sealing }: RepositoryConfig): Buffer =>
  summedJson({ format: FORMAT, version: VERSION, id, sealing })

/** @throws AppError ARTIFACT_BROKEN. */
export function readConfig(bytes: Buffer): RepositoryConfig {
  const { format, version, id, sealing } = readSummedJson(bytes) ?? {}
  if (format === FORMAT && typeof version === 'number' && version > VERSION) {
    throw new AppError(
      'ARTIFACT_BROKEN',
      `The backup repository has format ${version}: a newer server made it, use that one`,
    )
  }
  const isWhole = format === FORMAT && typeof id === 'string' && isObjectId(id)
  if (!isWhole || (sealing !== 'AES-256-GCM' && sealing !== 'NONE')) {
    throw new AppError('ARTIFACT_BROKEN', 'The config of the backup repository is damaged: take the one of a copy')
  }
  return { id, sealing }
}
