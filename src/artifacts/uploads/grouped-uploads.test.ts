import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { loseOpenSegments } from '../../../test/helpers/packed-site.ts'
import { digestOfBytes } from '../../core/digest.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { claimBlobs } from '../../metadata/storage/blobs.ts'
import { createSegmentIndex } from '../../metadata/storage/segment-index.ts'
import { createMemoryBlobStore } from '../../storage/memory/blob-store.ts'
import { type BlobIntake, createBlobIntake } from '../blobs/blob-intake.ts'
import type { FileUpload } from './file-placement.ts'
import { createGroupedUploads } from './grouped-uploads.ts'

type Packing = Pick<BlobIntake, 'pack' | 'claimPacked'>
interface Wraps {
  readonly packing?: (inner: Packing) => Packing
  readonly transact?: (inner: MetadataDatabase['transact']) => MetadataDatabase['transact']
}

/** Counts what is written together. Contents get rows and no bytes. */
function groupedServices(db: MetadataDatabase, { packing = (same) => same, transact = (same) => same }: Wraps = {}) {
  const services = artifactServices(db)
  const { clock, hlc } = services
  const packs: string[][] = []
  let transactions = 0
  const plain: Packing = {
    async pack(contents) {
      packs.push(contents.map(({ bytes }) => bytes.toString()))
      return contents.map(({ digest, bytes }, offset) => ({
        digest,
        sizeBytes: bytes.length,
        place: { segment: 1, owner: 'one', offset },
      }))
    },
    async claimPacked(trx, packed) {
      await claimBlobs(trx, packed, clock.now())
    },
  }
  const counted: MetadataDatabase['transact'] = (work) => {
    transactions++
    return db.transact(work)
  }
  const grouped = createGroupedUploads({
    ...{ clock, hlc },
    db: { read: db.read, transact: transact(counted) },
    intake: packing(plain),
  })
  const place = (repository: Repository, at: string, text: string, more: Partial<Sending> = {}) => {
    const { by = 'alice', signal = new AbortController().signal, ...rest } = more
    const bytes = Buffer.from(text)
    const announced = { digest: undefined, md5: undefined, sizeBytes: bytes.length }
    const file = { ...announced, path: path(at), overwrite: 'refuse' as const, expiresDays: 0, metadata: [], ...rest }
    const content = { digest: digestOfBytes(bytes), md5: undefined, crc64: undefined, bytes }
    return grouped.place({ repository, file, content, by }, signal)
  }
  return { ...services, place, packs, transactions: () => transactions }
}
type Sending = FileUpload & { readonly by: string; readonly signal: AbortSignal }

/** Paths of those that were taken, codes of the others. */
async function outcomes(placed: readonly Promise<NodeRecord>[]): Promise<string[]> {
  const settled = await Promise.allSettled(placed)
  return settled.map((one) => {
    if (one.status === 'fulfilled') return one.value.path
    return one.reason instanceof AppError ? one.reason.code : String(one.reason)
  })
}

eachDatabase('grouped uploads', (make) => {
  it('given uploads at the same time, when placed, then one pack and one transaction make all of them visible', async () => {
    await using db = await make()
    const { place, packs, transactions, ...services } = groupedServices(db)
    const one = await makeRepository(services, 'demo/one')
    const two = await makeRepository(services, 'demo/two')
    const placed = [
      place(one, '/a/x', 'same', { by: 'alice', metadata: [{ key: 'k', value: 'v' }], expiresDays: 1 }),
      place(two, '/x', 'other', { by: 'bob' }),
      place(one, '/b/y', 'same', { by: 'carol' }),
    ]
    assert.deepEqual(await outcomes(placed), ['/a/x', '/x', '/b/y'])
    assert.deepEqual([packs, transactions()], [[['same', 'other']], 1])
    const { createdBy, metadata, expiresAt } = await services.nodes.get(one, path('/a/x'))
    assert.deepEqual(
      [createdBy, metadata, expiresAt],
      ['alice', [{ key: 'k', value: 'v' }], services.clock.now() + 86_400_000],
    )
    assert.equal((await services.nodes.get(one, path('/b'))).createdBy, 'carol')
    assert.equal((await services.nodes.get(two, path('/x'))).digest, digestOfBytes('other'))
    const changes = await db.read.selectFrom('change_log').select('path').execute()
    assert.equal(changes.length, 3)
  })

  it('given some that are refused, when placed with others, then each has its own answer and the others are there', async () => {
    await using db = await make()
    const { place, packs, transactions, ...services } = groupedServices(db)
    const repository = await makeRepository(services)
    await place(repository, '/d/there', 'x')
    const before = transactions()
    const placed = [
      place(repository, '/d/there', 'one'),
      place(repository, '/d', 'two'),
      place(repository, '/d/there/below', 'three'),
      place(repository, '/wrong', 'four', { digest: digestOfBytes('5') }),
      place(repository, '/fine', 'six'),
    ]
    assert.deepEqual(await outcomes(placed), [
      'NODE_EXISTED',
      'NODE_CONFLICT',
      'NODE_CONFLICT',
      'DIGEST_MISMATCH',
      '/fine',
    ])
    assert.equal(transactions() - before, 1)
    assert.deepEqual(packs.at(-1), ['six'])
    assert.equal((await services.nodes.get(repository, path('/d/there'))).digest, digestOfBytes('x'))
  })

  it('given somebody who is quicker, when the transaction begins, then the loser is refused and the others are there', async () => {
    await using db = await make()
    const quick = groupedServices(db)
    const repository = await makeRepository(quick)
    const { place, transactions } = groupedServices(db, {
      packing: (inner) => ({
        ...inner,
        async pack(...asked) {
          await quick.place(repository, '/x', 'quick')
          return inner.pack(...asked)
        },
      }),
    })
    const placed = ['/x', '/y'].map((at) => place(repository, at, 'slow'))
    assert.deepEqual(await outcomes(placed), ['NODE_EXISTED', '/y'])
    assert.equal(transactions(), 1)
  })

  it('given two of one path, when they come at the same time, then they are decided one after the other', async () => {
    await using db = await make()
    const { place, ...services } = groupedServices(db)
    const repository = await makeRepository(services)
    const refusing = [place(repository, '/x', 'first'), place(repository, '/x', 'second')]
    assert.deepEqual(await outcomes(refusing), ['/x', 'NODE_EXISTED'])
    const replacing = ['3', '4', '5'].map((text) => place(repository, '/x', text, { overwrite: 'replace' }))
    const stamps = (await Promise.all(replacing)).map(({ hlc }) => hlc)
    assert.deepEqual(stamps, stamps.toSorted())
    assert.equal((await services.nodes.get(repository, path('/x'))).digest, digestOfBytes('5'))
  })

  it('given a file and one below it, when they come at the same time, then the first stays and the second conflicts', async () => {
    await using db = await make()
    const { place, ...services } = groupedServices(db)
    const repository = await makeRepository(services)
    const placed = ['/q', '/a', '/a/b/c', '/z'].map((at) => place(repository, at, at))
    assert.deepEqual(await outcomes(placed), ['/q', '/a', 'NODE_CONFLICT', '/z'])
  })

  it('given a quota that holds some of them, when placed, then the first that fit are in and nobody else is refused', async () => {
    await using db = await make()
    const { place, ...services } = groupedServices(db)
    const tight = await makeRepository(services, 'demo/tight')
    const wide = await makeRepository(services, 'demo/wide')
    await services.quotas.set(tight, 10, 'admin')
    const placed = [
      ...['/1', '/2', '/3', '/4'].map((at) => place(tight, at, '4444')),
      place(wide, '/w', 'as long as it likes to be'),
    ]
    assert.deepEqual(await outcomes(placed), ['/1', '/2', 'QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', '/w'])
    assert.equal((await services.quotas.usage(tight)).used, 8)
  })

  it('given a repository that was deleted meanwhile, when placed with others, then only its uploads fail', async () => {
    await using db = await make()
    const { place, ...services } = groupedServices(db)
    const gone = await makeRepository(services, 'demo/gone')
    const stays = await makeRepository(services, 'demo/stays')
    await services.repositories.delete('demo', 'gone', 'with-content', 'admin')
    const placed = [place(gone, '/x', 'x'), place(stays, '/y', 'y'), place(gone, '/z', 'z')]
    assert.deepEqual(await outcomes(placed), ['REPOSITORY_NOT_FOUND', '/y', 'REPOSITORY_NOT_FOUND'])
  })

  it('given a transaction that fails because of a value, when placed, then each is tried again by itself', async () => {
    await using db = await make()
    let failures = 0
    const { place, packs, transactions, ...services } = groupedServices(db, {
      transact: (inner) => async (work) => {
        if (failures++ === 0) throw Object.assign(new Error('invalid byte sequence'), { code: '22021' })
        return inner(work)
      },
    })
    const repository = await makeRepository(services)
    const placed = ['/1', '/2', '/3'].map((at) => place(repository, at, at))
    assert.deepEqual(await outcomes(placed), ['/1', '/2', '/3'])
    assert.deepEqual([packs.length, transactions()], [1, 2])
  })

  it('given a commit whose answer was lost, when placed, then nobody is tried again and told that the file is there', async () => {
    await using db = await make()
    const { place, transactions, ...services } = groupedServices(db, {
      transact: (inner) => async (work) => {
        await inner(work)
        throw new Error('Connection terminated unexpectedly')
      },
    })
    const repository = await makeRepository(services)
    const placed = ['/1', '/2', '/3'].map((at) => place(repository, at, at))
    const lost = 'Error: Connection terminated unexpectedly'
    assert.deepEqual(await outcomes(placed), [lost, lost, lost])
    assert.equal(transactions(), 1)
    assert.equal((await services.nodes.get(repository, path('/2'))).digest, digestOfBytes('/2'))
  })

  for (const [what, error] of [
    ['connection', Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' })],
    ['server', Object.assign(new Error('terminating connection'), { code: '57P01' })],
    ['disk', new AppError('STORAGE_UNAVAILABLE', 'no space left', {}, { retryable: true })],
    ['SQLite file', Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode: 10 })],
  ] as const) {
    it(`given a ${what} that fails, when many are placed, then one failed transaction is the answer of all`, async () => {
      await using db = await make()
      let failed = 0
      const { place, ...services } = groupedServices(db, {
        transact: () => async () => {
          failed++
          throw error
        },
      })
      const repository = await makeRepository(services)
      const answers = await outcomes(['/1', '/2', '/3', '/4'].map((at) => place(repository, at, at)))
      assert.equal(new Set(answers).size, 1)
      assert.equal(failed, 1)
    })
  }

  it('given a disk that takes nothing, when placed, then all hear its error, no transaction begins, and later ones get in', async () => {
    await using db = await make()
    let full = true
    const { place, transactions, ...services } = groupedServices(db, {
      packing: (inner) => ({
        ...inner,
        pack: async (...asked) => {
          if (full) throw new Error('ENOSPC: no space left on device')
          return inner.pack(...asked)
        },
      }),
    })
    const repository = await makeRepository(services)
    const lost = await Promise.allSettled(['/1', '/2'].map((at) => place(repository, at, at)))
    for (const one of lost) assert.match(String(one.status === 'rejected' && one.reason), /ENOSPC/)
    assert.equal(transactions(), 0)
    full = false
    assert.deepEqual(await outcomes([place(repository, '/1', 'x')]), ['/1'])
  })

  it('given a segment that was given up since, when its bytes are claimed, then they are written once more', async () => {
    await using db = await make()
    let claims = 0
    const { place, packs, ...services } = groupedServices(db, {
      packing: (inner) => ({
        ...inner,
        async claimPacked(...asked) {
          if (++claims === 1) throw new AppError('RECEIVE_FAILED', 'Segment [1] is gone', {}, { retryable: true })
          await inner.claimPacked(...asked)
        },
      }),
    })
    const repository = await makeRepository(services)
    const placed = ['/1', '/2'].map((at) => place(repository, at, at))
    assert.deepEqual(await outcomes(placed), ['/1', '/2'])
    assert.deepEqual(packs, [
      ['/1', '/2'],
      ['/1', '/2'],
    ])
  })

  it('given an open segment that the database has lost, when uploads come, then all get in at once', async () => {
    await using db = await make()
    const { clock } = artifactServices(db)
    const store = createMemoryBlobStore(undefined, createSegmentIndex({ db, clock }))
    const intake = createBlobIntake({ db, store, clock })
    const { place, transactions, ...services } = groupedServices(db, { packing: () => intake })
    const repository = await makeRepository(services)
    await place(repository, '/before', 'before')
    await loseOpenSegments(db)
    assert.deepEqual(await outcomes(['/1', '/2'].map((at) => place(repository, at, at))), ['/1', '/2'])
    assert.equal(transactions(), 3)
    assert.deepEqual(await outcomes([place(repository, '/3', '3')]), ['/3'])
    assert.equal(transactions(), 4)
  })

  it('given bytes that are being written, when they are durable, then the transaction begins, and only its end is the answer', async () => {
    await using db = await make()
    const events: string[] = []
    const { place, ...services } = groupedServices(db, {
      packing: (inner) => ({
        ...inner,
        async pack(...asked) {
          const packed = await inner.pack(...asked)
          events.push('durable')
          return packed
        },
      }),
      transact: (inner) => async (work) => {
        events.push('begin')
        const result = await inner(work)
        events.push('committed')
        return result
      },
    })
    const repository = await makeRepository(services)
    await place(repository, '/x', 'x')
    events.push('answered')
    assert.deepEqual(events, ['durable', 'begin', 'committed', 'answered'])
  })

  it('given a client that went away while it waited, when its group begins, then nothing of it is written', async () => {
    await using db = await make()
    const { place, packs, ...services } = groupedServices(db)
    const repository = await makeRepository(services)
    const gone = new AbortController()
    const leaving = place(repository, '/gone', 'gone', { signal: gone.signal })
    const staying = place(repository, '/here', 'here')
    gone.abort(new AppError('RECEIVE_FAILED', 'the client went away'))
    await assert.rejects(leaving, (error) => hasCode(error, 'RECEIVE_FAILED'))
    await staying
    assert.deepEqual(packs, [['here']])
    assert.equal(await services.nodes.find(repository, path('/gone')), undefined)
  })
})
