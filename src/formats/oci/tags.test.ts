import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  type ImageServices,
  imageServices,
  makeImage,
  makeImageRepository,
  nameOf,
} from '../../../test/helpers/images.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'

async function list(on: ImageServices, repository: Repository, query: Record<string, string> = {}) {
  const { headers, body } = await on.ask('listTags', repository, 'web', '', { query })
  const { name, tags } = JSON.parse(body.toString()) as { name: string; tags: string[] }
  return { name, tags, link: headers.link }
}

eachDatabase('tags of images', (make) => {
  async function given(db: Awaited<ReturnType<typeof make>>, tags: readonly string[]) {
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, 'web')
    for (const tag of tags) await on.push(repository, 'web', tag, image)
    return { on, repository, image }
  }

  it('given tags and a manifest without one, when listed, then the tags are there in the order of letters, whatever their case', async () => {
    await using db = await make()
    const { on, repository, image } = await given(db, ['b', 'B', 'a1', 'a10', 'A2', '_x', 'c'])
    await on.push(repository, 'web', nameOf(image), image)
    const { name, tags, link } = await list(on, repository)
    assert.equal(name, 'demo/images/web')
    assert.deepEqual(tags, ['_x', 'a1', 'a10', 'A2', 'B', 'b', 'c'])
    assert.equal(link, undefined)
  })

  it('given a number of entries, when all links are followed, then every tag comes once, and the last page has no link', async () => {
    await using db = await make()
    const { on, repository } = await given(db, ['a', 'B', 'c', 'D', 'e'])
    const first = await list(on, repository, { n: '2' })
    assert.deepEqual(first.tags, ['a', 'B'])
    assert.equal(first.link, '</v2/demo/images/web/tags/list?n=2&last=B>; rel="next"')
    const second = await list(on, repository, { n: '2', last: 'B' })
    assert.deepEqual([second.tags, second.link], [['c', 'D'], '</v2/demo/images/web/tags/list?n=2&last=D>; rel="next"'])
    const third = await list(on, repository, { n: '2', last: 'D' })
    assert.deepEqual([third.tags, third.link], [['e'], undefined])
    assert.deepEqual((await list(on, repository, { n: '5' })).link, undefined)
  })

  it('given n=0, a huge n or a last that is no tag, when listed, then it is as the specification says', async () => {
    await using db = await make()
    const { on, repository } = await given(db, ['a', 'c'])
    const none = await list(on, repository, { n: '0' })
    assert.deepEqual([none.tags, none.link], [[], undefined])
    assert.deepEqual((await list(on, repository, { n: '999999999999999' })).tags, ['a', 'c'])
    assert.deepEqual((await list(on, repository, { last: 'b' })).tags, ['c'])
    assert.deepEqual((await list(on, repository, { last: 'zzz' })).tags, [])
  })

  it('given an n that is no number, when listed, then 400 with words', async () => {
    await using db = await make()
    const { on, repository } = await given(db, ['a'])
    for (const n of ['-1', 'x', '1.5', '', '1e3']) {
      const refused = await on.refused(list(on, repository, { n }), 'listTags')
      assert.equal(refused.status, 400)
      assert.match(refused.message, /no number of entries/)
    }
  })

  it('given an image that nobody pushed, when listed, then NAME_UNKNOWN; one with blobs or manifests but without tags has an empty list', async () => {
    await using db = await make()
    const { on, repository, image } = await given(db, [])
    const refused = await on.refused(on.ask('listTags', repository, 'other'), 'listTags')
    assert.deepEqual([refused.code, refused.status], ['NAME_UNKNOWN', 404])
    assert.deepEqual((await list(on, repository)).tags, [])
    await on.push(repository, 'web', nameOf(image), image)
    assert.deepEqual((await list(on, repository)).tags, [])
  })
})
