import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { seededBytes } from '../helpers/blobs.ts'
import { ANY_MANIFEST, streamBlob } from '../helpers/foreign-pushes.ts'
import {
  CONFIG,
  descriptor,
  digestOf,
  EMPTY,
  EMPTY_TYPE,
  INDEX,
  LAYER,
  MANIFEST,
  manifestOf,
  type PushedManifest,
  type Registry,
  startRegistry,
} from '../helpers/registry.ts'

/** oras, cosign, helm and crane, which no test can run here: what they send, call by call. */
describe('core.md 15 item 9: clients of artifacts that are spoken for', () => {
  let on: Registry
  before(async () => {
    on = await startRegistry('sqlite')
  })
  after(() => on[Symbol.asyncDispose]())

  /** As oras and helm do: asks first, then POST and PUT. */
  async function offer(name: string, bytes: Buffer): Promise<'was there' | 'sent'> {
    const head = await on.call('HEAD', `/v2/${name}/blobs/${digestOf(bytes)}`)
    if (head.status === 200) return 'was there'
    assert.equal(head.status, 404)
    assert.equal((await on.pushBlob(name, bytes)).status, 201)
    return 'sent'
  }
  const offerManifest = async (name: string, reference: string, manifest: PushedManifest) => {
    assert.equal(
      (await on.call('HEAD', `/v2/${name}/manifests/${reference}`, { headers: { accept: manifest.mediaType } })).status,
      404,
    )
    return on.pushManifest(name, reference, manifest)
  }
  const get = (name: string, reference: string, accept = ANY_MANIFEST) =>
    on.call('GET', `/v2/${name}/manifests/${reference}`, { headers: { accept } })

  describe('oras', () => {
    const attachment = (subject: PushedManifest, artifactType: string, content: Buffer) =>
      manifestOf({
        mediaType: MANIFEST,
        ...{ artifactType, config: { ...descriptor(EMPTY, EMPTY_TYPE), data: EMPTY.toString('base64') } },
        layers: [descriptor(content, 'text/plain', { annotations: { 'org.opencontainers.image.title': 'sbom.txt' } })],
        ...{
          subject: descriptor(subject.bytes, subject.mediaType),
          annotations: { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' },
        },
      })

    it('given an image, when files are attached, discovered and pulled, then they are found by their type and are the same', async () => {
      const name = on.fresh()
      const image = await on.pushImage(name, '1')
      assert.equal(
        (await on.call('HEAD', `/v2/${name}/manifests/1`)).headers.get('docker-content-digest'),
        image.digest,
      )
      for (const type of ['application/vnd.example.sbom', 'application/vnd.example.licence']) {
        const content = Buffer.from(`about: ${type}`)
        await offer(name, EMPTY)
        await offer(name, content)
        const attached = attachment(image, type, content)
        const answer = await offerManifest(name, attached.digest, attached)
        assert.deepEqual([answer.status, answer.headers.get('oci-subject')], [201, image.digest])
        const found = await on.call(
          'GET',
          `/v2/${name}/referrers/${image.digest}?artifactType=${encodeURIComponent(type)}`,
        )
        assert.deepEqual(
          found.json.manifests.map(({ digest, artifactType }: { digest: string; artifactType: string }) => [
            digest,
            artifactType,
          ]),
          [[attached.digest, type]],
        )
        const [{ digest }] = (await get(name, attached.digest)).json.layers
        assert.deepEqual((await on.call('GET', `/v2/${name}/blobs/${digest}`)).body, content)
      }
      assert.equal(await offer(name, EMPTY), 'was there')
      assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, ['1'])
    })

    it('given an attachment of an attachment, when discovered as a tree, then each level is found', async () => {
      const name = on.fresh()
      const image = await on.pushImage(name, '1')
      await offer(name, EMPTY)
      const sbom = attachment(image, 'application/vnd.example.sbom', EMPTY)
      const signature = attachment(sbom, 'application/vnd.example.signature', EMPTY)
      for (const one of [signature, sbom]) assert.equal((await on.pushManifest(name, one.digest, one)).status, 201)
      for (const [subject, referrer] of [
        [image, sbom],
        [sbom, signature],
      ] as const) {
        const { json } = await on.call('GET', `/v2/${name}/referrers/${subject.digest}`)
        assert.deepEqual(
          json.manifests.map(({ digest }: { digest: string }) => digest),
          [referrer.digest],
        )
      }
    })

    it('given a probe for referrers of nothing, when asked, then 200 with an empty index', async () => {
      const { status, headers, json } = await on.call('GET', `/v2/${on.fresh()}/referrers/sha256:${'0'.repeat(64)}`)
      assert.deepEqual([status, headers.get('content-type'), json.manifests], [200, INDEX, []])
    })

    it('given a client that keeps referrers in a tag of its own, when it writes the tag, then that is what the tag says, and the list goes by subjects', async () => {
      const name = on.fresh()
      const image = await on.pushImage(name, '1')
      const tag = image.digest.replace(':', '-')
      assert.deepEqual([(await get(name, tag)).status, (await get(name, tag)).code], [404, 'MANIFEST_UNKNOWN'])
      await offer(name, EMPTY)
      const attached = attachment(image, 'application/vnd.example.sbom', EMPTY)
      await on.pushManifest(name, attached.digest, attached)
      const known = (await get(name, tag)).json.manifests
      assert.equal(known.length, 1)
      const own = manifestOf({ mediaType: INDEX, manifests: [...known, descriptor(image.bytes, image.mediaType)] })
      assert.equal((await on.pushManifest(name, tag, own)).status, 201)
      assert.deepEqual((await get(name, tag)).body, own.bytes)
      const { json } = await on.call('GET', `/v2/${name}/referrers/${image.digest}`)
      assert.deepEqual(json.manifests, known)
      assert.equal((await on.call('DELETE', `/v2/${name}/manifests/${own.digest}`)).status, 202)
      assert.deepEqual((await get(name, tag)).json.manifests, known)
    })

    it('given files, when pushed as an artifact with a config of its own type and pulled, then they are the same', async () => {
      const name = on.fresh()
      const [config, file] = [Buffer.from('{"any":"thing"}'), seededBytes(1, 200_000)]
      for (const blob of [config, file]) await offer(name, blob)
      const artifact = manifestOf({
        mediaType: MANIFEST,
        config: descriptor(config, 'application/vnd.example.config.v1+json'),
        layers: [
          descriptor(file, 'application/pdf', { annotations: { 'org.opencontainers.image.title': 'report.pdf' } }),
        ],
      })
      assert.equal((await offerManifest(name, '1', artifact)).status, 201)
      assert.deepEqual((await get(name, '1', MANIFEST)).body, artifact.bytes)
      assert.deepEqual((await on.call('GET', `/v2/${name}/blobs/${digestOf(file)}`)).body, file)
    })
  })

  describe('cosign', () => {
    const SIGNATURE = 'dev.cosignproject.cosign/signature'
    const payloadOf = (digest: string, by: string) =>
      Buffer.from(
        JSON.stringify({
          critical: { image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' },
          optional: { by },
        }),
      )

    it('given an image, when it is signed twice, then both signatures are under its tag, which is listed and never its referrer', async () => {
      const name = on.fresh()
      const image = await on.pushImage(name, '1')
      const tag = `${image.digest.replace(':', '-')}.sig`
      const layers: object[] = []
      for (const by of ['ann', 'bob']) {
        const before = await get(name, tag)
        assert.equal(before.status, layers.length === 0 ? 404 : 200)
        assert.deepEqual(before.json.layers ?? [], layers)
        const payload = payloadOf(image.digest, by)
        layers.push(
          descriptor(payload, 'application/vnd.dev.cosign.simplesigning.v1+json', {
            annotations: { [SIGNATURE]: `by ${by}` },
          }),
        )
        const config = Buffer.from(
          JSON.stringify({
            architecture: '',
            os: '',
            config: {},
            rootfs: { type: 'layers', diff_ids: [digestOf(payload)] },
          }),
        )
        for (const blob of [payload, config]) assert.equal((await streamBlob(on, name, blob)).status, 201)
        const signed = manifestOf({ mediaType: MANIFEST, config: descriptor(config, CONFIG), layers })
        assert.equal((await on.pushManifest(name, tag, signed)).status, 201)
      }
      assert.deepEqual((await get(name, tag)).json.layers, layers)
      assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, ['1', tag])
      assert.deepEqual((await on.call('GET', `/v2/${name}/referrers/${image.digest}`)).json.manifests, [])
    })

    it('given attestation and SBOM tags, when the image is deleted, then they stay until they are deleted themselves', async () => {
      const name = on.fresh()
      const image = await on.pushImage(name, '1')
      const tags = ['att', 'sbom'].map((kind) => `${image.digest.replace(':', '-')}.${kind}`)
      for (const tag of tags) await on.pushImage(name, tag)
      assert.equal((await on.call('DELETE', `/v2/${name}/manifests/${image.digest}`)).status, 202)
      assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, tags)
      for (const tag of tags) assert.equal((await on.call('DELETE', `/v2/${name}/manifests/${tag}`)).status, 202)
    })
  })

  it('helm: given a chart, when pushed and pulled by tag and digest, then chart and provenance are the same', async () => {
    const name = 'demo/images/charts/web'
    const config = Buffer.from(
      JSON.stringify({ apiVersion: 'v2', name: 'web', version: '1.2.3+build.5', appVersion: '4.5' }),
    )
    const [chart, provenance] = [gzipSync(seededBytes(2, 20_000)), Buffer.from('-----BEGIN PGP SIGNED MESSAGE-----')]
    for (const blob of [config, chart, provenance]) assert.equal(await offer(name, blob), 'sent')
    const pushed = manifestOf({
      mediaType: MANIFEST,
      config: descriptor(config, 'application/vnd.cncf.helm.config.v1+json'),
      layers: [
        descriptor(chart, 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'),
        descriptor(provenance, 'application/vnd.cncf.helm.chart.provenance.v1.prov'),
      ],
      annotations: { 'org.opencontainers.image.title': 'web', 'org.opencontainers.image.version': '1.2.3+build.5' },
    })
    assert.equal((await on.pushManifest(name, '1.2.3_build.5', pushed)).status, 201)
    assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, ['1.2.3_build.5'])
    for (const reference of ['1.2.3_build.5', pushed.digest]) {
      const { status, headers, body, json } = await get(name, reference)
      assert.deepEqual([status, headers.get('content-type')], [200, MANIFEST])
      assert.deepEqual(body, pushed.bytes)
      const blobs = await Promise.all(
        [json.config, ...json.layers].map(({ digest }: { digest: string }) =>
          on.call('GET', `/v2/${name}/blobs/${digest}`),
        ),
      )
      assert.deepEqual(
        blobs.map((blob) => blob.body),
        [config, chart, provenance],
      )
    }
  })

  describe('crane', () => {
    it('given an image, when tagged again, then both tags have its digest, and one deletion by digest takes both', async () => {
      const name = on.fresh()
      const image = await on.pushImage(name, '1')
      const { body, headers } = await get(name, '1')
      assert.equal(
        (await on.pushManifest(name, 'stable', { ...image, bytes: body, mediaType: headers.get('content-type')! }))
          .status,
        201,
      )
      const head = await on.call('HEAD', `/v2/${name}/manifests/stable`)
      assert.equal(head.headers.get('docker-content-digest'), image.digest)
      assert.equal(head.headers.get('content-length'), String(image.bytes.length))
      assert.equal((await on.call('DELETE', `/v2/${name}/manifests/${image.digest}`)).status, 202)
      assert.equal((await get(name, 'stable')).status, 404)
    })

    it('given an image, when a layer is appended under another name, then old layers are mounted and the new one is streamed', async () => {
      const [from, to] = [on.fresh(), on.fresh()]
      const base = (await on.pushImage(from, '1')).bytes
      const [old] = JSON.parse(base.toString()).layers
      const mounted = await on.call('POST', `/v2/${to}/blobs/uploads/?mount=${old.digest}&from=${from}`)
      assert.equal(mounted.status, 201)
      const [config, layer] = [
        Buffer.from('{"os":"linux","architecture":"amd64","appended":1}'),
        gzipSync(seededBytes(3, 500_000)),
      ]
      for (const blob of [config, layer]) assert.equal((await streamBlob(on, to, blob)).status, 201)
      const appended = manifestOf({
        mediaType: MANIFEST,
        ...{ config: descriptor(config, CONFIG), layers: [old, descriptor(layer, `${LAYER}+gzip`)] },
      })
      assert.equal((await on.pushManifest(to, 'appended', appended)).status, 201)
      assert.deepEqual((await get(to, 'appended')).body, appended.bytes)
    })
  })
})
