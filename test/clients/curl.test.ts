import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { connectApi } from '../helpers/api.ts'
import { needs } from '../helpers/programs.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../helpers/server-process.ts'
import { type TempDir, tempDir } from '../helpers/temp.ts'

const run = promisify(execFile)
const REPOSITORY = 'clients/generic'
const SIZE = 3_000_000

describe('curl', needs('curl'), () => {
  let dir: TempDir
  let server: ServerProcess
  const bytes = randomBytes(SIZE)

  before(async () => {
    const { signal } = new AbortController()
    dir = await tempDir()
    server = await startServer({ name: 'clients', dataDir: dir.file('data') }, signal)
    using api = connectApi(server)
    await createRepository(api, REPOSITORY, signal)
    await writeFile(dir.file('local'), bytes)
  })
  after(async () => {
    await server?.stop()
    await dir?.[Symbol.asyncDispose]()
  })

  const urlOf = (path: string) => `${server.url}/generic/${REPOSITORY}/${path}`
  /** Standard output; a failed transfer, but not a refusal, rejects. */
  const curl = async (...flags: string[]): Promise<string> => {
    const { stdout } = await run('curl', [
      '--silent',
      '--show-error',
      '--user',
      `${server.user}:${server.password}`,
      ...flags,
    ])
    return stdout
  }
  const upload = (path: string, ...flags: string[]) => curl('--upload-file', dir.file('local'), ...flags, urlOf(path))
  const statusOf = (...flags: string[]) => curl('--output', dir.file('body'), '--write-out', '%{http_code}', ...flags)

  it('given a file, when it is uploaded and downloaded, then the bytes are the same and the digest is told', async () => {
    const answer = JSON.parse(await upload('plain.bin')) as { code: number; data: { sha256: string } }
    assert.equal(answer.code, 0)
    assert.equal(answer.data.sha256, createHash('sha256').update(bytes).digest('hex'))
    await curl('--output', dir.file('downloaded'), urlOf('plain.bin'))
    assert.ok(bytes.equals(await readFile(dir.file('downloaded'))))
  })

  it('given an odd name, when it is uploaded percent-encoded, then the same address gives it back', async () => {
    const path = encodeURIComponent('größe #1 100% a+b.bin')
    await upload(path)
    await curl('--output', dir.file('odd'), urlOf(path))
    assert.ok(bytes.equals(await readFile(dir.file('odd'))))
  })

  it('given a file, when a range of it is asked for, then only that range arrives with 206', async () => {
    await upload('range.bin')
    assert.equal(await statusOf('--range', '1000-1999', urlOf('range.bin')), '206')
    assert.ok(bytes.subarray(1_000, 2_000).equals(await readFile(dir.file('body'))))
    assert.equal(await statusOf('--range', '-500', urlOf('range.bin')), '206')
    assert.ok(bytes.subarray(SIZE - 500).equals(await readFile(dir.file('body'))))
    assert.equal(await statusOf('--range', `${SIZE}-`, urlOf('range.bin')), '416')
  })

  it('given a download cut half-way, when curl resumes it, then the file becomes whole', async () => {
    await upload('resume.bin')
    await writeFile(dir.file('partial'), bytes)
    await truncate(dir.file('partial'), SIZE / 2)
    await curl('--continue-at', '-', '--output', dir.file('partial'), urlOf('resume.bin'))
    assert.ok(bytes.equals(await readFile(dir.file('partial'))))
  })

  it('given a file, when only its head is asked for, then length, digest and ranges are told', async () => {
    await upload('head.bin')
    const head = (await curl('--head', urlOf('head.bin'))).toLowerCase()
    assert.match(head, /^http\/1\.1 200/)
    assert.match(head, new RegExp(`content-length: ${SIZE}\\b`))
    assert.match(head, new RegExp(`x-checksum-sha256: ${createHash('sha256').update(bytes).digest('hex')}`))
    assert.match(head, /accept-ranges: bytes/)
  })

  it('given a wrong digest header, when a file is uploaded, then it is refused and nothing is there', async () => {
    const wrong = `X-BKREPO-SHA256: ${'0'.repeat(64)}`
    const answer = JSON.parse(await upload('wrong.bin', '--header', wrong)) as { code: number }
    assert.equal(answer.code, 251003)
    assert.equal(await statusOf(urlOf('wrong.bin')), '404')
  })

  it('given a wrong password, when a file is asked for, then the answer is 401', async () => {
    assert.equal(await statusOf('--user', 'admin:wrong', urlOf('plain.bin')), '401')
  })
})
