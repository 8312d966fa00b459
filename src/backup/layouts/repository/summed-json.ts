import { digestOfBytes } from '../../../core/digest.ts'

/** A small JSON object of a repository that can be read without its key; `sum` covers the rest, and no other bytes say the same. */
export function summedJson(values: Readonly<Record<string, unknown>>): Buffer {
  const { sum: _, ...rest } = values
  const text = JSON.stringify(rest)
  return Buffer.from(`${JSON.stringify({ ...rest, sum: digestOfBytes(text) })}\n`)
}

/** @returns undefined when a bit of it is not what was written. */
export function readSummedJson(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const values: unknown = JSON.parse(bytes.toString())
    if (typeof values !== 'object' || values === null || Array.isArray(values)) return undefined
    return summedJson(values as Record<string, unknown>).equals(bytes) ? (values as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
