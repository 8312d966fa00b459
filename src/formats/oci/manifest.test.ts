import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseContentName } from '../../core/content-name.ts'
import { AppError } from '../../core/errors.ts'
import type { OciFailure } from './errors.ts'
import { mayBeElsewhere, parseManifest } from './manifest.ts'
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.ts'

const hex = (letter: string) => letter.repeat(64)
const descriptor = (letter: string, more: object = {}) => ({
  ...{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${hex(letter)}`, size: 3 },
  ...more,
})
const config = descriptor('c', { mediaType: OCI_CONFIG })
const image = (more: object = {}) => ({
  ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [descriptor('a')] },
  ...more,
})
const index = (more: object = {}) => ({
  ...{ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor('b', { mediaType: OCI_MANIFEST })] },
  ...more,
})
const bytesOf = (document: object) => Buffer.from(JSON.stringify(document))
const parse = (document: object, type?: string) => parseManifest(bytesOf(document), type)
const refusal = (run: () => unknown): OciFailure & { message: string } => {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError) return { ...(error.detail.oci as OciFailure), message: error.message }
  }
  throw new Error('was accepted')
}

describe('parsing a manifest', () => {
  it('given an image manifest, when parsed, then what it names is told, and its config says what artifact it is', () => {
    const parsed = parse(image({ annotations: { a: 'b' }, subject: descriptor('d') }), `${OCI_MANIFEST}; charset=utf-8`)
    assert.equal(parsed.kind, 'manifest')
    assert.deepEqual([parsed.config?.digest, parsed.layers[0]?.digest], [config.digest, `sha256:${hex('a')}`])
    assert.equal(parsed.subject?.digest, `sha256:${hex('d')}`)
    assert.equal(parsed.artifactType, OCI_CONFIG)
    assert.deepEqual(parsed.annotations, { a: 'b' })
  })

  it('given an artifactType, when parsed, then it wins over the config', () => {
    assert.equal(parse(image({ artifactType: 'a/b' })).artifactType, 'a/b')
    assert.equal(parse(image({ artifactType: '' })).artifactType, OCI_CONFIG)
    assert.equal(parse(index()).artifactType, undefined)
    assert.equal(parse(index({ artifactType: 'a/b' })).artifactType, 'a/b')
  })

  for (const [title, document, type, kind] of [
    ['an index', index(), OCI_INDEX, 'index'],
    ['a docker manifest', image({ mediaType: DOCKER_MANIFEST }), DOCKER_MANIFEST, 'manifest'],
    ['a docker list', index({ mediaType: DOCKER_LIST }), DOCKER_LIST, 'index'],
    ['a manifest without media type', image({ mediaType: undefined }), OCI_MANIFEST, 'manifest'],
    ['an index without media type', index({ mediaType: undefined }), OCI_INDEX, 'index'],
    ['no layers', image({ layers: [] }), OCI_MANIFEST, 'manifest'],
    ['no list of layers', image({ layers: undefined }), OCI_MANIFEST, 'manifest'],
    [
      'an artifact manifest',
      { mediaType: OCI_ARTIFACT, artifactType: 'a/b', blobs: [descriptor('a')] },
      OCI_ARTIFACT,
      'manifest',
    ],
  ] as const) {
    it(`given ${title}, when parsed, then its media type is ${type}`, () => {
      const parsed = parse(document, type)
      assert.deepEqual([parsed.mediaType, parsed.kind], [type, kind])
      assert.equal(parse(document).mediaType, type)
    })
  }

  it('given fields that are null, or a platform that says nothing, when parsed, then they count as left out', () => {
    const blank = { urls: null, annotations: null, data: null, artifactType: null, platform: null }
    const parsed = parse(image({ layers: [descriptor('a', blank)], subject: null, annotations: null }))
    assert.deepEqual([parsed.layers[0]?.urls, parsed.subject, parsed.annotations], [[], undefined, {}])
    assert.equal(parse(index({ manifests: [descriptor('b', { platform: {} })] })).manifests[0]?.platform, undefined)
    assert.deepEqual(parse(index({ manifests: null })).manifests, [])
  })

  it('given a sha512 digest, when parsed, then it is taken', () => {
    const digest = `sha512:${'e'.repeat(128)}`
    assert.equal(parse(image({ layers: [descriptor('a', { digest })] })).layers[0]?.digest, parseContentName(digest))
  })

  for (const [title, document, type, words] of [
    ['another Content-Type', image(), OCI_INDEX, /Content-Type is/],
    [
      'a docker Content-Type without a media type in the bytes',
      image({ mediaType: undefined }),
      DOCKER_MANIFEST,
      /Content-Type is/,
    ],
    ['schema 1 by Content-Type', image(), 'application/vnd.docker.distribution.manifest.v1+prettyjws', /schema 1/],
    ['schema 1 by bytes', { schemaVersion: 1, name: 'x', fsLayers: [] }, undefined, /schema 1/],
    ['no schemaVersion', image({ schemaVersion: undefined }), undefined, /schemaVersion/],
    ['schemaVersion as a text', image({ schemaVersion: '2' }), undefined, /schemaVersion/],
    ['an unknown media type', image({ mediaType: 'text/plain' }), undefined, /no manifest or index/],
    [
      'a media type that is a name of every object',
      image({ mediaType: 'toString' }),
      undefined,
      /no manifest or index/,
    ],
    ['nothing', {}, undefined, /neither/],
    ['manifest and index at once', image({ manifests: [] }), undefined, /both a manifest and an index/],
    ['index and manifest at once', index({ layers: [] }), undefined, /both a manifest and an index/],
    ['a field in another case', { ...image(), Layers: [] }, undefined, /some read as \[layers\]/],
    ['no config', image({ config: undefined }), undefined, /\[config\] is no descriptor/],
    ['layers that are no list', image({ layers: { length: 1 } }), undefined, /\[layers\] is no list/],
    [
      'a digest that is cut short',
      image({ layers: [descriptor('a', { digest: 'sha256:aa' })] }),
      undefined,
      /layers\[0\]\.digest/,
    ],
    ['a digest in capitals', image({ layers: [descriptor('A')] }), undefined, /layers\[0\]\.digest/],
    [
      'a digest that is a number',
      image({ layers: [descriptor('a', { digest: 5 })] }),
      undefined,
      /layers\[0\]\.digest/,
    ],
    ['a negative size', image({ layers: [descriptor('a', { size: -1 })] }), undefined, /layers\[0\]\.size/],
    ['a huge size', image({ layers: [descriptor('a', { size: 2 ** 60 })] }), undefined, /layers\[0\]\.size/],
    ['a size that is a text', image({ layers: [descriptor('a', { size: '3' })] }), undefined, /layers\[0\]\.size/],
    [
      'a layer without a media type',
      image({ layers: [descriptor('a', { mediaType: undefined })] }),
      undefined,
      /layers\[0\]\.mediaType/,
    ],
    ['a media type of 256 characters', image({ artifactType: 'x'.repeat(256) }), undefined, /artifactType/],
    ['annotations that are numbers', image({ annotations: { a: 1 } }), undefined, /\[annotations\]/],
    ['a subject without size', image({ subject: descriptor('a', { size: undefined }) }), undefined, /subject\.size/],
    [
      'a platform whose os is a number',
      index({ manifests: [descriptor('b', { platform: { os: 1 } })] }),
      undefined,
      /platform\.os/,
    ],
    [
      '9,001 layers',
      image({ layers: Array.from({ length: 9_001 }, () => descriptor('a')) }),
      undefined,
      /more than 9000/,
    ],
  ] as const) {
    it(`given ${title}, when parsed, then it is refused as MANIFEST_INVALID, with words`, () => {
      const { code, status, message } = refusal(() => parse(document, type))
      assert.deepEqual([code, status], ['MANIFEST_INVALID', 400])
      assert.match(message, words)
    })
  }

  for (const [title, bytes, words] of [
    ['a field twice', '{"schemaVersion":2,"schemaVersion":2}', /"schemaVersion" comes twice/],
    ['a field twice, once with an escape', '{"a":[{"x":1,"\\u0078":2}]}', /"x" comes twice/],
    ['a list', '[]', /no JSON object/],
    ['null', 'null', /no JSON object/],
    ['text that is cut off', '{"a":', /not JSON/],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
    ['a byte order mark', '\ufeff{}', /not JSON/],
    ['nothing at all', '', /not JSON/],
    ['a deep nest', '['.repeat(100_000) + ']'.repeat(100_000), /no JSON object/],
  ] as const) {
    it(`given ${title}, when parsed, then it is refused as MANIFEST_INVALID, with words`, () => {
      const { code, message } = refusal(() => parseManifest(Buffer.from(bytes), undefined))
      assert.equal(code, 'MANIFEST_INVALID')
      assert.match(message, words)
    })
  }

  it('given the same name in two objects, or a quote and braces in a text, when parsed, then it is fine', () => {
    parse(image({ annotations: { '{"a"': '{"a":1,"a":1}', b: '\\"' }, layers: [descriptor('a'), descriptor('a')] }))
  })

  it('given more than 4 MiB, when parsed, then it is refused with 413', () => {
    const { code, status } = refusal(() => parseManifest(Buffer.alloc(4 * 1024 * 1024 + 1, ' '), undefined))
    assert.deepEqual([code, status], ['SIZE_INVALID', 413])
  })

  it('given foreign layers, when asked, then they may be elsewhere', () => {
    const layers = [
      descriptor('a', { urls: ['https://example.org/layer'] }),
      descriptor('a', { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }),
      descriptor('a', { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' }),
      descriptor('a'),
    ]
    assert.deepEqual(parse(image({ layers })).layers.map(mayBeElsewhere), [true, true, true, false])
  })
})
