import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manifestDraft } from '../../../test/helpers/backup-runs.ts'
import { hasCode } from '../../core/errors.ts'
import type { Manifest } from './manifest.ts'
import { createManifestSeal } from './manifest-seal.ts'
import { manifestDocument } from './manifest-shape.ts'
import { manifestBytes, parseManifest } from './manifest-text.ts'

const HEX = 'ab'.repeat(32)
const FILE = { path: 'p1/r1/node.json', sizeBytes: 10, sha256: HEX, records: 2 }
const PART = { id: HEX, first: '/a', sizeBytes: 5, records: 1 }
const MANIFEST: Manifest = {
  ...manifestDraft([
    { path: 'user.json', sizeBytes: 0, sha256: HEX, records: 0 },
    { ...FILE, parts: [PART, PART] },
  ]),
  ...{ blobCount: 3, blobBytes: 7, basedOn: [] },
  content: {
    ...{ commonData: true, compression: true, increment: true, incrementDate: '2024-12-24T00:00:00' },
    projects: [
      {
        ...{ projectId: 'p1', projectRegex: null, repoList: ['r1'], repoRegex: null },
        ...{ excludeProjects: null, excludeRepos: null },
      },
    ],
  },
}
const broken = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN') && error.message.startsWith('The manifest')

it('given a manifest, when it is written, then each file has path, size, sha256 and records', () => {
  const { files } = JSON.parse(manifestBytes(MANIFEST).toString())
  assert.deepEqual(files[0], { path: 'user.json', size: 0, sha256: HEX, records: 0 })
  assert.deepEqual(files[1].parts[0], { id: HEX, first: '/a', size: 5, records: 1 })
})

it('given a manifest, when it is written and read, then it is the same, whatever the order of its fields', () => {
  const bytes = manifestBytes(MANIFEST)
  assert.deepEqual(parseManifest(bytes), MANIFEST)
  const turned = Object.fromEntries(Object.entries(MANIFEST).reverse()) as unknown as Manifest
  assert.ok(manifestBytes(turned).equals(bytes))
  assert.ok(bytes.toString().endsWith('}\n'))
})

describe('hostile manifests', () => {
  const DOCUMENT = manifestDocument(MANIFEST)
  const [, { parts: _, ...FILE }] = DOCUMENT.files as [unknown, { readonly parts: unknown }]
  const PART = { id: HEX, first: '/a', size: 5, records: 1 }
  const withFile = (more: object) => ({ ...DOCUMENT, files: [{ ...FILE, ...more }] })
  const cases: readonly [string, unknown][] = [
    ['a later format', { ...DOCUMENT, formatVersion: 2 }],
    ['no object', [DOCUMENT]],
    ['null', null],
    ['a size below zero', withFile({ size: -1 })],
    ['a size that is not exact', withFile({ size: 2 ** 60 })],
    ['half a byte', withFile({ size: 1.5 })],
    ['a size that is text', withFile({ size: '10' })],
    ['a path that climbs out', withFile({ path: '../../etc/passwd' })],
    ['an absolute path', withFile({ path: '/etc/passwd.json' })],
    ['a path with \\', withFile({ path: 'p1\\r1\\node.json' })],
    ['a path among the contents', withFile({ path: `bk+store/ab/${HEX}.json` })],
    ['itself as a file', withFile({ path: 'manifest.json' })],
    ['a path with NUL', withFile({ path: 'p1/r1/a\0.json' })],
    ['a short digest', withFile({ sha256: 'ab' })],
    ['a digest that is a path', withFile({ sha256: '../../../etc/passwd' })],
    ['a file twice', { ...DOCUMENT, files: [FILE, FILE] }],
    ['parts that do not add up', withFile({ parts: [PART] })],
    ['a part that is a path', withFile({ parts: [PART, { ...PART, id: '../x' }] })],
    ['a project that is a path', { ...DOCUMENT, repositories: [{ ...MANIFEST.repositories[0], projectId: '..' }] }],
    ['a repository that is a path', { ...DOCUMENT, repositories: [{ ...MANIFEST.repositories[0], repoName: 'a/b' }] }],
    ['a base that is a path', { ...DOCUMENT, basedOn: ['../../x'] }],
    ['no date', { ...DOCUMENT, startDate: 'yesterday' }],
    ['a day that is none', { ...DOCUMENT, startDate: '2024-13-45T00:00:00Z' }],
    ['a result that is none', { ...DOCUMENT, result: 'FAILED' }],
    ['files that are no list', { ...DOCUMENT, files: {} }],
    ['endless text', { ...DOCUMENT, taskId: 'x'.repeat(100_000) }],
    ['no content', { ...DOCUMENT, content: null }],
  ]
  for (const [what, value] of cases) {
    it(`given ${what}, when it is read, then it is refused with words`, () => {
      assert.throws(() => parseManifest(Buffer.from(JSON.stringify(value))), broken)
    })
  }
  for (const [what, bytes] of [
    ['no JSON', Buffer.from('{')],
    ['nothing', Buffer.alloc(0)],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['brackets without end', Buffer.from('['.repeat(1_000_000))],
  ] as const) {
    it(`given ${what}, when it is read, then it is refused with words`, () => {
      assert.throws(() => parseManifest(bytes), broken)
    })
  }
  it('given fields that nobody knows, when it is read, then they are left out', () => {
    const more = { ...DOCUMENT, more: 1, __proto__: { evil: true } }
    assert.deepEqual(parseManifest(Buffer.from(JSON.stringify(more))), MANIFEST)
  })
})

describe('seal of a manifest', () => {
  const bytes = manifestBytes(MANIFEST)
  let turn = 0
  const random = { bytes: (count: number) => Buffer.alloc(count, ++turn) }
  const plain = createManifestSeal(undefined, random)
  const keyed = createManifestSeal('correct horse', random)
  const other = Buffer.concat([bytes.subarray(0, -1), Buffer.from(' ')])

  it('given no passphrase, when sealed, then it is the digest, and other bytes are refused', async () => {
    const seal = await plain.seal(bytes)
    await plain.check(bytes, seal, 'whole')
    await plain.check(bytes, seal.slice(0, 64), 'whole')
    await assert.rejects(plain.check(other, seal, 'legacy'), broken)
    await assert.rejects(plain.check(bytes, 'nothing', 'legacy'), broken)
    await assert.rejects(plain.check(bytes, '', 'legacy'), broken)
  })

  it('given a passphrase, when sealed, then only who has it can seal and check', async () => {
    const seal = await keyed.seal(bytes)
    assert.notEqual(seal, await keyed.seal(bytes))
    await keyed.check(bytes, seal, 'whole')
    await assert.rejects(keyed.check(other, seal, 'legacy'), broken)
    await assert.rejects(createManifestSeal('battery staple', random).check(bytes, seal, 'legacy'), broken)
    await assert.rejects(plain.check(bytes, seal, 'legacy'), broken)
    await assert.rejects(keyed.check(bytes, await plain.seal(bytes), 'whole'), broken)
    await keyed.check(bytes, await plain.seal(bytes), 'legacy')
  })
})
