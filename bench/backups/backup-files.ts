import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BenchFile, patternless, smallFiles } from '../content.ts'
import { writeFiles } from '../peers.ts'

const BLOCK_BYTES = 8 * 1024 * 1024
const LARGE_FILES = 8

/**
 * 10,000 small files and 2 GiB of large ones, in a directory for whoever reads from there; what is uploaded is read from it, too. No
 * block comes twice: a program that divides files must not find anything to leave out.
 */
export async function backupFiles(dir: string, scale: number, signal: AbortSignal): Promise<BenchFile[]> {
  const small = smallFiles(Math.max(100, Math.round(10_000 * scale)), 4_096, 70)
  await writeFiles(dir, small, signal)
  await mkdir(join(dir, 'large'), { recursive: true })
  const blocks = Math.max(1, Math.round(((2 * 1024 ** 3) / LARGE_FILES / BLOCK_BYTES) * scale))
  const large: BenchFile[] = []
  for (let index = 0; index < LARGE_FILES; index++) large.push(await writeLarge(dir, index, blocks))
  return [...small, ...large]
}

async function writeLarge(dir: string, index: number, blocks: number): Promise<BenchFile> {
  const path = `/large/${index}.bin`
  const file = createWriteStream(join(dir, path))
  const hash = createHash('sha256')
  for (let block = 0; block < blocks; block++) {
    const bytes = patternless(BLOCK_BYTES, 1_000_000 + index * 10_000 + block)
    hash.update(bytes)
    if (!file.write(bytes)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'close')
  const sizeBytes = blocks * BLOCK_BYTES
  return {
    expected: { path, sizeBytes, sha256: hash.digest('hex'), metadata: {} },
    content: { sizeBytes, open: () => createReadStream(join(dir, path), { highWaterMark: 1024 * 1024 }) },
  }
}
