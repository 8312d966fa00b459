import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

export function hasErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** Makes names that were added to or removed from a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}

/** Creates a directory whose parent exists, and makes its name durable also when somebody else has created it just now. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
  }
  await syncDirectory(dirname(path))
}
