import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  descriptorOf,
  type ImageServices,
  imageServices,
  indexOf,
  makeImage,
  makeImageRepository,
  nameOf,
} from '../../../test/helpers/images.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { OCI_INDEX, OCI_MANIFEST } from './media-types.ts'

interface Found {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Record<string, string>
}
async function referrers(
  on: ImageServices,
  repository: Repository,
  digest: string,
  query: Record<string, string> = {},
) {
  const { status, headers, body } = await on.ask('listReferrers', repository, 'web', digest, { query })
  const index = JSON.parse(body.toString()) as { schemaVersion: number; mediaType: string; manifests: Found[] }
  assert.deepEqual(
    [status, headers['content-type'], index.schemaVersion, index.mediaType],
    [200, OCI_INDEX, 2, OCI_INDEX],
  )
  return { manifests: index.manifests, headers }
}

eachDatabase('referrers of images', (make) => {
  async function given(db: Awaited<ReturnType<typeof make>>, algorithm = 'sha256') {
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, 'web')
    const subject = { ...descriptorOf(image), digest: nameOf(image, algorithm) }
    const about = async (n: number, more: object = {}) => {
      const one = { ...(await makeImage(on, repository, 'web', { text: `sig ${n}` })), subject, ...more }
      const pushed = await on.push(repository, 'web', nameOf(one), one)
      assert.equal(pushed.headers['oci-subject'], subject.digest)
      return one
    }
    return { on, repository, image, subject, about }
  }

  it('given a subject that is not here, when manifests about it are pushed, then they are told with type, size and annotations', async () => {
    await using db = await make()
    const { on, repository, subject, about } = await given(db)
    assert.deepEqual((await referrers(on, repository, subject.digest)).manifests, [])
    const sbom = await about(1, { artifactType: 'application/sbom', annotations: { a: 'b' } })
    const plain = await about(2)
    const index = { ...indexOf([descriptorOf(sbom)]), subject }
    await on.push(repository, 'web', 'tagged', index)
    await on.push(repository, 'web', 'tagged-too', index)
    const { manifests } = await referrers(on, repository, subject.digest)
    const expected: Found[] = [
      descriptorOf(sbom, OCI_MANIFEST, { artifactType: 'application/sbom', annotations: { a: 'b' } }),
      descriptorOf(plain, OCI_MANIFEST, { artifactType: plain.config.mediaType }),
      descriptorOf(index, OCI_INDEX),
    ]
    assert.deepEqual(
      manifests,
      expected.sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    )
  })

  it('given a type, when asked for it, then only those come, and the answer says that it filtered', async () => {
    await using db = await make()
    const { on, repository, subject, about } = await given(db)
    const sbom = await about(1, { artifactType: 'application/sbom' })
    await about(2, { artifactType: 'application/signature' })
    const { manifests, headers } = await referrers(on, repository, subject.digest, { artifactType: 'application/sbom' })
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [nameOf(sbom)],
    )
    assert.equal(headers['oci-filters-applied'], 'artifactType')
    const none = await referrers(on, repository, subject.digest, { artifactType: 'x/y' })
    assert.deepEqual(none.manifests, [])
  })

  it('given more than a page, when the links are followed, then every one comes once', async () => {
    await using db = await make()
    const { on, repository, subject, about } = await given(db)
    for (let n = 0; n < 5; n++) await about(n, { artifactType: n === 2 ? 'c/d' : 'a/b' })
    const seen: string[] = []
    let query: Record<string, string> = { n: '2', artifactType: 'a/b' }
    for (let pages = 1; ; pages++) {
      const { manifests, headers } = await referrers(on, repository, subject.digest, query)
      seen.push(...manifests.map(({ digest }) => digest))
      if (headers.link === undefined) {
        assert.equal(pages, 2)
        break
      }
      assert.match(
        headers.link,
        /^<\/v2\/demo\/images\/web\/referrers\/sha256:[0-9a-f]{64}\?artifactType=a%2Fb&n=2&last=.*>; rel="next"$/,
      )
      query = Object.fromEntries(new URL(headers.link.slice(1, headers.link.indexOf('>')), 'http://x').searchParams)
    }
    assert.equal(seen.length, 4)
    assert.equal(new Set(seen).size, 4)
  })

  it('given large annotations, when asked, then a page stays below 4 MiB and says where to go on', async () => {
    await using db = await make()
    const { on, repository, subject, about } = await given(db)
    for (let n = 0; n < 3; n++) await about(n, { annotations: { long: `${n}${'x'.repeat(1_500_000)}` } })
    const { manifests, headers } = await referrers(on, repository, subject.digest)
    assert.equal(manifests.length, 2)
    assert.equal(manifests[0]?.annotations?.long?.length, 1_500_001)
    assert.match(headers.link ?? '', /rel="next"/)
  })

  it('given a digest that is none, or an image that nobody pushed, when asked, then 400, or an empty index', async () => {
    await using db = await make()
    const { on, repository } = await given(db)
    for (const digest of ['sha256:abc', 'latest', 'md5:aa']) {
      const refused = await on.refused(referrers(on, repository, digest), 'listReferrers')
      assert.deepEqual([refused.code, refused.status], ['DIGEST_INVALID', 400])
    }
    assert.deepEqual((await referrers(on, repository, nameOf('x'))).manifests, [])
  })

  for (const algorithm of ['sha256', 'sha512']) {
    it(`given a client that knows the tag scheme only, when it asks for the tag of a ${algorithm} subject, then it gets the same index`, async () => {
      await using db = await make()
      const { on, repository, subject, about } = await given(db, algorithm)
      const tag = subject.digest.replace(':', '-').slice(0, 7 + 64)
      const absent = await on.refused(on.ask('getManifest', repository, 'web', tag), 'getManifest')
      assert.equal(absent.code, 'MANIFEST_UNKNOWN')
      await about(1)
      const { manifests } = await referrers(on, repository, subject.digest)
      const { headers, body } = await on.ask('getManifest', repository, 'web', tag)
      assert.deepEqual(JSON.parse(body.toString()).manifests, manifests)
      assert.equal(headers['docker-content-digest'], nameOf(body.toString()))
      // Once there is such a tag, that is what it is.
      await on.push(repository, 'web', tag, indexOf(manifests))
      const tagged = await on.ask('getManifest', repository, 'web', tag)
      assert.equal(tagged.body.toString(), JSON.stringify(indexOf(manifests)))
    })
  }

  it('given a referrer, when it is deleted, then it is told no more; when its subject is deleted, it stays', async () => {
    await using db = await make()
    const { on, repository, image, subject, about } = await given(db)
    await on.push(repository, 'web', '1.0', image)
    const [one, other] = [await about(1), await about(2)]
    await on.ask('deleteManifest', repository, 'web', nameOf(one))
    await on.ask('deleteManifest', repository, 'web', subject.digest)
    const { manifests } = await referrers(on, repository, subject.digest)
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [nameOf(other)],
    )
  })
})
