import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseImageUrl } from './image-url.ts'

const DIGEST = `sha256:${'0'.repeat(64)}`
const CASES: readonly (readonly [rest: string, image: string, reference: string, get: string | undefined])[] = [
  ['nginx/manifests/1.0', 'nginx', '1.0', 'getManifest'],
  [`team/a/nginx/manifests/${DIGEST}`, 'team/a/nginx', DIGEST, 'getManifest'],
  [`nginx/blobs/${DIGEST}`, 'nginx', DIGEST, 'getBlob'],
  ['nginx/blobs/uploads/', 'nginx', '', undefined],
  ['nginx/blobs/uploads', 'nginx', '', undefined],
  ['nginx/blobs/uploads/id.of.it', 'nginx', 'id.of.it', 'uploadStatus'],
  ['nginx/tags/list', 'nginx', '', 'listTags'],
  [`nginx/referrers/${DIGEST}`, 'nginx', DIGEST, 'listReferrers'],
  // Words of the specification inside the name.
  ['a/blobs/uploads/manifests/1.0', 'a/blobs/uploads', '1.0', 'getManifest'],
  [`a/blobs/uploads/blobs/${DIGEST}`, 'a/blobs/uploads', DIGEST, 'getBlob'],
  ['a/blobs/uploads/blobs/uploads/', 'a/blobs/uploads', '', undefined],
  ['manifests/manifests/manifests', 'manifests', 'manifests', 'getManifest'],
  ['tags/list/tags/list', 'tags/list', '', 'listTags'],
  ['a/manifests/list', 'a', 'list', 'getManifest'],
  ['a/tags/manifests/list', 'a/tags', 'list', 'getManifest'],
  ['a/blobs/uploads/uploads', 'a', 'uploads', 'uploadStatus'],
  // No name at all.
  ['manifests/1.0', '', '1.0', 'getManifest'],
  ['blobs/uploads/', '', '', undefined],
  ['tags/list', '', '', 'listTags'],
  ['/manifests/1.0', '', '1.0', 'getManifest'],
]

describe('the route table of images', () => {
  for (const [rest, image, reference, get] of CASES) {
    it(`given ${rest}, when read, then the image is [${image}] and the reference [${reference.slice(0, 12)}]`, () => {
      const url = parseImageUrl(rest)
      assert.deepEqual([url?.image, url?.reference, url?.operations.GET], [image, reference, get])
    })
  }
  for (const rest of [
    '',
    'nginx',
    'nginx/',
    'a/b/c',
    'nginx/tags',
    'nginx/tags/list/more',
    'nginx/tags/1.0',
    'a/manifests/..\\..\\b',
  ]) {
    it(`given [${rest}], which is no endpoint, when read, then nothing is found`, () => {
      assert.equal(parseImageUrl(rest), undefined)
    })
  }
})
