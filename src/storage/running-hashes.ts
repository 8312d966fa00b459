import { createHash } from 'node:crypto'
import { createCrc64 } from '../core/crc64.ts'

export type HashName = 'sha256' | 'sha512' | 'md5' | 'crc64'
/** Lower-case hex; `crc64` an unsigned decimal. Of those that were asked for. */
export type HashValues = Readonly<Partial<Record<HashName, string>>>

/** Several hashes of the same bytes in one pass. */
export interface RunningHashes {
  update(chunk: Uint8Array): void
  /** Of all bytes so far; goes on afterwards. */
  values(): HashValues
}

export function createRunningHashes(names: readonly HashName[]): RunningHashes {
  const hashes = names.map((name) => [name, name === 'crc64' ? ofCrc64() : ofHash(name)] as const)
  return {
    update(chunk) {
      for (const [, hash] of hashes) hash.update(chunk)
    },
    values: () => Object.fromEntries(hashes.map(([name, hash]) => [name, hash.value()])),
  }
}

function ofHash(name: Exclude<HashName, 'crc64'>) {
  const hash = createHash(name)
  return { update: (chunk: Uint8Array) => void hash.update(chunk), value: () => hash.copy().digest('hex') }
}

function ofCrc64() {
  const crc64 = createCrc64()
  return { update: (chunk: Uint8Array) => crc64.update(chunk), value: () => crc64.value() }
}
