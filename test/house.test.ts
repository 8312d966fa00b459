import assert from 'node:assert/strict'
import { glob, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { describe, it } from 'node:test'

/** Past this, a file says at its top why (a table, a protocol, generated). */
const LONGEST_FILE_LINES = 500

interface Source {
  readonly path: string
  readonly text: string
}

async function readAll(...patterns: string[]): Promise<Source[]> {
  const files: Source[] = []
  for await (const path of glob(patterns)) files.push({ path, text: await readFile(path, 'utf8') })
  return files
}

/** Text without comments: a docstring may name what the code must not use. */
const codeOf = ({ text }: Source): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')

const isSystem = ({ path }: Source): boolean => path.startsWith('src/app/system-')
const isTest = ({ path }: Source): boolean => /\.(test|contract)\.ts$/.test(path)

describe('house rules', () => {
  it('given src, when it is searched, then time, timers and randomness are made in src/app/system-*.ts only', async () => {
    const forbidden = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\brandomUUID\b|(?<!\.)\bset(?:Timeout|Interval)\b/
    const wrong = (await readAll('src/**/*.ts')).filter((file) => !isSystem(file) && forbidden.test(codeOf(file)))
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    )
  })

  it('given src, when its files are counted, then none has over 500 lines', async () => {
    const sources = (await readAll('src/**/*.ts')).filter((file) => !isTest(file))
    const long = sources.filter(({ text }) => text.split('\n').length > LONGEST_FILE_LINES)
    assert.deepEqual(
      long.map(({ path }) => path),
      [],
    )
  })

  it('given src, when its files are listed, then each is named after a noun', async () => {
    const vague = new Set(['index.ts', 'utils.ts', 'util.ts', 'helpers.ts', 'common.ts', 'misc.ts', 'types.ts'])
    const wrong = (await readAll('src/**/*.ts')).filter(
      ({ path }) =>
        vague.has(basename(path)) || !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|contract))?\.ts$/.test(basename(path)),
    )
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    )
  })

  it('given src, when its exports are read, then all are named', async () => {
    const wrong = (await readAll('src/**/*.ts')).filter((file) => /^export default\b/m.test(codeOf(file)))
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    )
  })

  it('given the tests, when they are searched, then none is focused and none waits on the wall clock', async () => {
    const forbidden = /\b(?:it|test|describe)\.only\b|\bsetTimeout\b/
    const tests = (await readAll('src/**/*.ts', 'test/*.test.ts')).filter(isTest)
    const wrong = tests.filter((file) => !file.path.endsWith('house.test.ts') && forbidden.test(codeOf(file)))
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    )
  })
})

describe('dependencies', () => {
  it('given package.json, when its dependencies are read, then every version is exact', async () => {
    const manifest = JSON.parse(await readFile('package.json', 'utf8')) as Record<string, Record<string, string>>
    const pins = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    const loose = pins.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    assert.deepEqual(loose, [])
  })

  it('given the lock file, when it is searched, then it names no registry address', async () => {
    const lock = await readFile('package-lock.json', 'utf8')
    assert.equal(lock.includes('"resolved"'), false)
  })

  it('given the dependencies, when their decision note is read, then each has a line of reason', async () => {
    const manifest = JSON.parse(await readFile('package.json', 'utf8')) as Record<string, Record<string, string>>
    const note = await readFile('docs/decisions/0008-dependencies.md', 'utf8')
    const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    assert.deepEqual(
      names.filter((name) => !note.includes(`\`${name}\``)),
      [],
    )
  })
})
