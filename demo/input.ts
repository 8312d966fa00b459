import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { Readable } from 'node:stream'
import { generatedFile } from './generated-file.ts'
import { ODD_NAMES } from './odd-names.ts'

export interface InputFile {
  /** Where it goes in the repository, e.g. `/packages/fastify/package.json`. */
  readonly path: string
  readonly sizeBytes: number
  readonly metadata: Readonly<Record<string, string>>
  open(): Readable
}

/** What the demo promises to move at least. */
export const LEAST_FILES = 500
export const LEAST_PACKAGE_BYTES = 30_000_000
const GENERATED_BYTES = 300_000_000

const ORDINARY_FILES = 560
const ORDINARY_MAX_BYTES = 1_000_000
const LARGE_MAX_BYTES = 30_000_000
/** Large files are added until the packages alone hold this much. */
const WANTED_PACKAGE_BYTES = 40_000_000

interface Found {
  readonly file: string
  readonly sizeBytes: number
}

/** The same choice for the same installed packages: files of every size, files under odd names, one big generated file. */
export async function chooseInput(packagesDir: string): Promise<InputFile[]> {
  const found = await findFiles(packagesDir)
  const small = found.filter(({ sizeBytes }) => sizeBytes <= ORDINARY_MAX_BYTES)
  const ordinary = evenly(small, ORDINARY_FILES)
  const odd = evenly(
    small.filter(({ sizeBytes }) => sizeBytes > 0),
    ODD_NAMES.length,
  )
  const large = upTo(found, WANTED_PACKAGE_BYTES - total(ordinary))
  const input = [
    ...[...ordinary, ...large].map((from) => inputOf(`/packages/${toPath(packagesDir, from.file)}`, from, packagesDir)),
    ...odd.map((from, index) => inputOf(`/odd names/${ODD_NAMES[index]}`, from, packagesDir)),
    { path: '/odd names/empty file', sizeBytes: 0, metadata: {}, open: () => Readable.from([]) },
  ]
  const packageBytes = total(input)
  if (input.length < LEAST_FILES || packageBytes < LEAST_PACKAGE_BYTES) {
    throw new Error(`The installed packages hold too little: ${input.length} files, ${packageBytes} bytes`)
  }
  const generated = generatedFile(GENERATED_BYTES, 7)
  input.push({ path: '/big/300-mb.bin', metadata: { source: 'generated', seed: '7' }, ...generated })
  return input
}

export const total = (files: readonly { readonly sizeBytes: number }[]): number =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

async function findFiles(dir: string): Promise<Found[]> {
  const entries = (await readdir(dir, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile())
  const found: Found[] = []
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name)
    found.push({ file, sizeBytes: (await stat(file)).size })
  }
  return found.sort((a, b) => (a.file < b.file ? -1 : 1))
}

/** `count` items spread over the whole list. */
function evenly<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items]
  return Array.from({ length: count }, (_, index) => items[Math.floor((index * items.length) / count)]!)
}

/** The smallest of the large files first, until they hold `wantedBytes`. */
function upTo(found: readonly Found[], wantedBytes: number): Found[] {
  const large = found.filter(({ sizeBytes }) => sizeBytes > ORDINARY_MAX_BYTES && sizeBytes <= LARGE_MAX_BYTES)
  const chosen: Found[] = []
  for (const file of large.sort((a, b) => a.sizeBytes - b.sizeBytes)) {
    if (total(chosen) >= wantedBytes) break
    chosen.push(file)
  }
  return chosen
}

const toPath = (dir: string, file: string): string => relative(dir, file).split(sep).join('/')

function inputOf(path: string, from: Found, packagesDir: string): InputFile {
  const segments = toPath(packagesDir, from.file).split('/')
  const packageName = segments[0]?.startsWith('@') ? segments.slice(0, 2).join('/') : (segments[0] ?? '')
  return {
    path,
    sizeBytes: from.sizeBytes,
    metadata: { source: 'node_modules', packageName, 'Größe & mehr': `${from.sizeBytes} bytes = 100 % + "quoted"` },
    open: () => createReadStream(from.file),
  }
}
