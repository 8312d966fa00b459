import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import { it } from 'node:test'

/** docs/decisions/0002: an import points to its own folder or to a lower number. */
const LEVEL: Readonly<Record<string, number>> = {
  core: 0,
  storage: 1,
  metadata: 1,
  remotes: 1,
  jobs: 2,
  auth: 2,
  artifacts: 3,
  clusters: 3,
  formats: 4,
  tasks: 4,
  replication: 5,
  distribution: 5,
  backup: 5,
  http: 6,
  cli: 6,
  app: 7,
}
/** `import … from './x.ts'`, `export … from './x.ts'`, `import './x.ts'` and `import('./x.ts')`. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g

const folderOf = (path: string): string => path.split('/')[1] ?? ''
const sources = async (exclude: readonly string[]): Promise<string[]> => {
  const files: string[] = []
  for await (const file of glob('src/**/*.ts', { exclude: [...exclude] })) files.push(file)
  return files
}

it('given any folder of src, when it is looked up, then it has a layer', async () => {
  for (const file of await sources([])) assert.ok(folderOf(file) in LEVEL, `${file}: its folder has no layer`)
})

it('given any source file, when its imports are read, then they point into its own folder or to a lower layer', async () => {
  const wrong: string[] = []
  for (const file of await sources(['**/*.test.ts', '**/*.contract.ts'])) {
    for (const [, path = ''] of (await readFile(file, 'utf8')).matchAll(IMPORT)) {
      const target = posix.join(posix.dirname(file), path)
      const [from, to] = [folderOf(file), folderOf(target)]
      const lower = target.startsWith('src/') && (LEVEL[from] ?? -1) > (LEVEL[to] ?? Number.POSITIVE_INFINITY)
      if (from !== to && !lower) wrong.push(`${file} imports ${path}`)
    }
  }
  assert.deepEqual(wrong, [])
})

it('given the formats, when their imports are read, then no format knows another one', async () => {
  const wrong: string[] = []
  for (const file of await sources(['**/*.test.ts', 'src/formats/*.ts'])) {
    if (!file.startsWith('src/formats/')) continue
    for (const [, path = ''] of (await readFile(file, 'utf8')).matchAll(IMPORT)) {
      const target = posix.join(posix.dirname(file), path).split('/')
      const isFormat = target[1] === 'formats' && target.length > 3
      if (isFormat && target[2] !== file.split('/')[2]) wrong.push(`${file} imports ${path}`)
    }
  }
  assert.deepEqual(wrong, [])
})
