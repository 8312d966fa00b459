import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { it } from 'node:test'
import type { LocalCluster } from '../../test/helpers/local-cluster.ts'
import type { Format } from './format.ts'

/** How the clients of a format publish and install, against a repository of its type that is empty. */
export interface FormatFixture {
  readonly format: Format
  readonly packageKey: string
  readonly version: string
  /** @param variant which bytes the version has; another number, other bytes. @returns the HTTP status. */
  publish(server: LocalCluster, repository: string, variant: 1 | 2): Promise<number>
  /** What an installing client gets: the bytes of the main file; undefined when there is none. */
  install(server: LocalCluster, repository: string): Promise<Buffer | undefined>
  /** Of the main file as published. */
  bytesOf(variant: 1 | 2): Buffer
}

interface Detail {
  readonly basic: {
    readonly version: string
    readonly fullPath: string
    readonly size: number
    readonly sha256: string
  }
  readonly files: readonly { readonly fullPath: string; readonly role: string; readonly sha256: string }[]
}

/** What every package type promises, on a whole server. `make` gives one with an empty repository of the type. */
export function formatContract(
  fixture: FormatFixture,
  make: () => Promise<{ readonly server: LocalCluster; readonly repository: string } & AsyncDisposable>,
): void {
  const { format, packageKey, version } = fixture
  const extended = `/${format.type.toLowerCase()}/ext/version`
  const query = `packageKey=${encodeURIComponent(packageKey)}&version=${encodeURIComponent(version)}`
  const detailOf = (server: LocalCluster, repository: string, signal: AbortSignal) =>
    server.api.call<Detail>('GET', `${extended}/detail/${repository}?${query}`, undefined, signal)
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

  it('given a published version, when installed, then the bytes are the same and its detail names every file', async (t) => {
    await using on = await make()
    const { server, repository } = on
    assert.ok((await fixture.publish(server, repository, 1)) < 300)
    assert.deepEqual(await fixture.install(server, repository), fixture.bytesOf(1))
    const { basic, files } = await detailOf(server, repository, t.signal)
    assert.equal(basic.version, version)
    assert.equal(basic.sha256, sha256(fixture.bytesOf(1)))
    assert.equal(basic.size, fixture.bytesOf(1).length)
    assert.equal(files.at(-1)?.fullPath, basic.fullPath, 'leaves first, the main file last')
  })

  it('given a published version, when published again, then the same bytes are as the format says and others are refused', async () => {
    await using on = await make()
    const { server, repository } = on
    await fixture.publish(server, repository, 1)
    const again = await fixture.publish(server, repository, 1)
    assert.equal(again < 300, format.packages?.identical === 'accept')
    const other = await fixture.publish(server, repository, 2)
    assert.ok(other >= 400 && other < 500, String(other))
    assert.deepEqual(await fixture.install(server, repository), fixture.bytesOf(1))
  })

  it('given a published version, when deleted, then nothing of it is left, and its name is free if the format says so', async (t) => {
    await using on = await make()
    const { server, repository } = on
    await fixture.publish(server, repository, 1)
    const { files } = await detailOf(server, repository, t.signal)
    await server.api.call('DELETE', `${extended}/delete/${repository}?${query}`, undefined, t.signal)
    await assert.rejects(detailOf(server, repository, t.signal), { status: 404 })
    assert.equal(await fixture.install(server, repository), undefined)
    for (const { fullPath } of files) {
      const detail = `/repository/api/node/detail/${repository}${fullPath}`
      await assert.rejects(server.api.call('GET', detail, undefined, t.signal), { code: 251010 })
    }
    assert.equal((await fixture.publish(server, repository, 1)) < 300, format.packages?.deleted === 'allow')
  })
}
