import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Validator } from '@seriousme/openapi-schema-validator'
import { generate } from 'openapi-typescript-codegen'
import { startCluster } from './helpers/local-cluster.ts'
import { tempDir } from './helpers/temp.ts'

interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly responses: Readonly<Record<string, unknown>>
}
interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

async function fetchDocument(): Promise<ApiDocument> {
  await using cluster = await startCluster({ name: 'documented', dialect: 'sqlite' })
  return (await (await fetch(`${cluster.url}/openapi.json`)).json()) as ApiDocument
}
const operationsOf = ({ paths }: ApiDocument) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ call: `${method.toUpperCase()} ${path}`, ...operation })),
  )

describe('the OpenAPI document', () => {
  const document = fetchDocument()

  it('given the whole server, when its document is judged by the specification, then it is valid', async () => {
    const { valid, errors } = await new Validator().validate({ ...(await document) })
    assert.equal(valid, true, JSON.stringify(errors, undefined, 2))
  })

  it('given every operation, when it is read, then it has a name of its own, a summary, a tag and its failures', async () => {
    const operations = operationsOf(await document)
    const lacking = operations.filter(
      ({ summary, tags, responses }) => !summary || !tags?.length || responses.default === undefined,
    )
    assert.deepEqual(
      lacking.map(({ call }) => call),
      [],
    )
    assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length)
  })

  it('given a client that is generated from it, when it is compiled, then there is no error', async () => {
    await using dir = await tempDir()
    const input = structuredClone(await document) as unknown as Record<string, unknown>
    await generate({ input, output: dir.file('client'), httpClient: 'fetch' })
    const options = { strict: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler' }
    const config = { compilerOptions: { ...options, skipLibCheck: true, types: [] }, include: ['client'] }
    await writeFile(dir.file('tsconfig.json'), JSON.stringify(config))
    const tsc = fileURLToPath(new URL('../node_modules/typescript/lib/tsc.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', dir.path]).catch((error) => error)
    assert.equal(stdout, '')
  })
})
