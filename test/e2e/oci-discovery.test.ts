import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  CONFIG,
  descriptor,
  digestOf,
  EMPTY,
  EMPTY_TYPE,
  INDEX,
  LAYER,
  MANIFEST,
  type ManifestDocument,
  manifestOf,
  type PushedManifest,
  type Registry,
  startRegistry,
} from '../helpers/registry.ts'

const SBOM = 'application/vnd.example.sbom.v1'
const SIGNATURE = 'application/vnd.example.signature.v1'

describe('core.md 15 item 8: OCI distribution specification 1.1: Content Discovery', () => {
  let on: Registry
  before(async () => {
    on = await startRegistry('sqlite')
  })
  after(() => on[Symbol.asyncDispose]())

  describe('Listing Tags', () => {
    const TAGS = ['1.0', '10.0', '2.0', '_x', 'alpha', 'Beta', 'latest']
    let name = ''
    before(async () => {
      name = on.fresh()
      const image = await on.pushImage(name, 'latest')
      for (const tag of ['alpha', '2.0', '_x', '10.0', 'Beta', '1.0']) await on.pushManifest(name, tag, image)
      await on.pushManifest(name, image.digest, image)
    })
    const list = (query = '') => on.call('GET', `/v2/${name}/tags/list${query}`)

    it('given tags, when listed, then 200 with the name and all tags in order of letters of any case, and no digest', async () => {
      const { status, json, headers } = await list()
      assert.equal(status, 200)
      assert.deepEqual(json, { name, tags: TAGS })
      assert.equal(headers.get('link'), null)
    })
    it('given n, when listed, then there are so many, and a link to the next ones', async () => {
      const { json, headers } = await list('?n=3')
      assert.deepEqual(json.tags, TAGS.slice(0, 3))
      assert.match(headers.get('link') ?? '', /^<[^>]+>; rel="next"$/)
    })
    it('given links, when followed, then every tag comes once', async () => {
      const seen: string[] = []
      let next: string | undefined = `/v2/${name}/tags/list?n=2`
      while (next !== undefined) {
        const { json, headers } = await on.call('GET', next)
        seen.push(...json.tags)
        next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      }
      assert.deepEqual(seen, TAGS)
    })
    it('given last, when listed, then the tags after it, also when it is not there', async () => {
      assert.deepEqual((await list('?last=_x')).json.tags, TAGS.slice(4))
      assert.deepEqual((await list('?n=1&last=1.5')).json.tags, ['10.0'])
      assert.deepEqual((await list('?last=zzz')).json.tags, [])
    })
    it('given n as large as there are tags, when listed, then there is no link', async () => {
      assert.equal((await list(`?n=${TAGS.length}`)).headers.get('link'), null)
    })
    it('given n=0, when listed, then the list is empty and there is no link', async () => {
      const { status, json, headers } = await list('?n=0')
      assert.deepEqual([status, json.tags, headers.get('link')], [200, [], null])
    })
    it('given n that is no number, when listed, then it is refused', async () => {
      assert.equal((await list('?n=many')).status, 400)
    })
    it('given an image that is not there, when listed, then 404 NAME_UNKNOWN', async () => {
      const { status, code } = await on.call('GET', `/v2/${on.fresh()}/tags/list`)
      assert.deepEqual([status, code], [404, 'NAME_UNKNOWN'])
    })
    it('given blobs and no manifest, when listed, then 200 with no tags', async () => {
      const fresh = on.fresh()
      await on.pushBlob(fresh, EMPTY)
      const { status, json } = await on.call('GET', `/v2/${fresh}/tags/list`)
      assert.deepEqual([status, json?.tags], [200, []])
    })
  })

  describe('Listing Referrers', () => {
    let name = ''
    let subject: PushedManifest
    const referrers = new Map<string, object>()
    const list = (digest: string, query = '') => on.call('GET', `/v2/${name}/referrers/${digest}${query}`)
    async function refer(document: ManifestDocument): Promise<PushedManifest> {
      const about = { subject: descriptor(subject.bytes, MANIFEST) }
      const pushed = manifestOf({ ...document, ...about })
      const answer = await on.pushManifest(name, pushed.digest, pushed)
      assert.deepEqual([answer.status, answer.headers.get('oci-subject')], [201, subject.digest])
      return pushed
    }
    before(async () => {
      name = on.fresh()
      await on.pushBlob(name, EMPTY)
      subject = await on.pushImage(name, '1.0')
      const layers = [descriptor(EMPTY, LAYER)]
      const empty = { config: descriptor(EMPTY, EMPTY_TYPE), layers }
      const sbom = await refer({
        mediaType: MANIFEST,
        ...{ ...empty, artifactType: SBOM, annotations: { 'org.example.format': 'json' } },
      })
      const byConfig = await refer({ mediaType: MANIFEST, ...{ config: descriptor(EMPTY, CONFIG), layers } })
      const signature = await refer({ mediaType: INDEX, manifests: [], artifactType: SIGNATURE })
      const plain = await refer({ mediaType: INDEX, ...{ manifests: [], annotations: { plain: 'yes' } } })
      const said = ({ bytes, mediaType, digest }: PushedManifest, more: object) => ({
        ...{ mediaType, digest, size: bytes.length },
        ...more,
      })
      for (const one of [
        said(sbom, { artifactType: SBOM, annotations: { 'org.example.format': 'json' } }),
        said(byConfig, { artifactType: CONFIG }),
        said(signature, { artifactType: SIGNATURE }),
        said(plain, { annotations: { plain: 'yes' } }),
      ]) {
        referrers.set(one.digest, one)
      }
    })

    it('given referrers, when listed, then 200 with an index of descriptors: type by artifactType or config, annotations copied', async () => {
      const { status, headers, json } = await list(subject.digest)
      assert.equal(status, 200)
      assert.equal(headers.get('content-type'), INDEX)
      assert.deepEqual([json.schemaVersion, json.mediaType], [2, INDEX])
      const found = new Map((json.manifests as { digest: string }[]).map((one) => [one.digest, one]))
      assert.deepEqual(found, new Map([...referrers].map(([digest, one]) => [digest, one as { digest: string }])))
    })
    it('given a subject without referrers, or that is not there, when listed, then 200 with an empty index', async () => {
      for (const digest of [digestOf('nobody'), digestOf('nobody', 'sha512')]) {
        const { status, headers, json } = await list(digest)
        assert.deepEqual([status, headers.get('content-type'), json.manifests], [200, INDEX, []])
      }
    })
    it('given a digest that is none, when listed, then 400', async () => {
      assert.equal((await list('sha256:abc')).status, 400)
      assert.equal((await list('latest')).status, 400)
    })
    it('Filtering: given an artifactType, when listed, then only those, and the header says so', async () => {
      const { headers, json } = await list(subject.digest, `?artifactType=${encodeURIComponent(SBOM)}`)
      assert.equal(headers.get('oci-filters-applied'), 'artifactType')
      assert.deepEqual(
        (json.manifests as { artifactType: string }[]).map(({ artifactType }) => artifactType),
        [SBOM],
      )
      const none = await list(subject.digest, '?artifactType=application/none')
      assert.deepEqual([none.headers.get('oci-filters-applied'), none.json.manifests], ['artifactType', []])
    })
    it('Pagination: given n, when links are followed, then every referrer comes once', async () => {
      const seen: string[] = []
      let next: string | undefined = `/v2/${name}/referrers/${subject.digest}?n=1`
      while (next !== undefined) {
        const { json, headers } = await on.call('GET', next)
        seen.push(...(json.manifests as { digest: string }[]).map(({ digest }) => digest))
        next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      }
      assert.deepEqual(seen.toSorted(), [...referrers.keys()].toSorted())
    })
    it('Referrers Tag Schema: given a client that knows tags only, when it pulls the tag, then it gets the same index', async () => {
      const { status, json } = await on.call('GET', `/v2/${name}/manifests/${subject.digest.replace(':', '-')}`)
      assert.equal(status, 200)
      assert.deepEqual(json, (await list(subject.digest)).json)
    })
    it('given a referrer that is deleted, when listed, then it is not there', async () => {
      const gone = await refer({ mediaType: INDEX, manifests: [], artifactType: 'application/gone' })
      assert.equal((await on.call('DELETE', `/v2/${name}/manifests/${gone.digest}`)).status, 202)
      const { json } = await list(subject.digest)
      assert.equal(json.manifests.length, referrers.size)
    })
  })
})
