import fc from 'fast-check'
import { digestFromBytes } from '../../src/core/digest.ts'
import { type Hlc, makeHlc } from '../../src/core/hlc.ts'
import type { Metadata } from '../../src/core/metadata.ts'
import { RESULTS } from '../../src/remotes/cluster/frames/ack-codec.ts'
import type {
  AckFrame,
  EntryFrame,
  Frame,
  Precondition,
  StreamBegin,
  VersionDocument,
  VersionFileEntry,
} from '../../src/remotes/cluster/frames/frame.ts'
import { SYNC_PROTOCOL } from '../../src/remotes/cluster/messages.ts'

export const BEGIN: StreamBegin = {
  protocol: SYNC_PROTOCOL,
  sourceId: 'source-1',
  project: 'demo',
  repo: 'files',
  epoch: 'e1',
  stream: 'record/0',
  fence: 1,
  run: 2 ** 47,
  includeMetadata: true,
  conflictStrategy: 'SKIP',
  stopAtFailure: false,
  honourTombstones: true,
}

/** An ENTRY whose content says who it is. */
export function entryOf(item: number, changes: Partial<EntryFrame> = {}): EntryFrame {
  const content = Buffer.from(`content of ${item}`)
  return {
    ...{ type: 'entry', item, path: `/folder/file-${item}`, digest: digestFromBytes(Buffer.alloc(32, item % 256)) },
    ...{ sizeBytes: content.length, md5: null, crc64: null, metadata: null, origin: 'source-1' },
    ...{ hlc: makeHlc(1_700_000_000_000, item % 65_536), via: [], expiresAt: null },
    ...{ createdBy: 'ann', createdAt: 1_700_000_000_000, modifiedBy: 'ann', modifiedAt: 1_700_000_000_001 },
    ...{ expect: { is: 'absent' }, content },
    ...changes,
  }
}

const WRITTEN = { createdBy: 'ann', createdAt: 1_700_000_000_000, modifiedBy: 'bob', modifiedAt: 1_700_000_000_001 }
export function fileOf(path: string, changes: Partial<VersionFileEntry> = {}): VersionFileEntry {
  return {
    ...{ path, role: 'part', digest: digestFromBytes(Buffer.alloc(32, 7)), sizeBytes: 3 },
    ...{ md5: 'd41d8cd98f00b204e9800998ecf8427e', crc64: null, metadata: [], origin: 'source-1' },
    ...{ hlc: makeHlc(1_700_000_000_000, 1), expiresAt: null, ...WRITTEN, ...changes },
  }
}
export function documentOf(changes: Partial<VersionDocument> = {}): VersionDocument {
  return {
    ...{ files: [], manifestPath: null, metadata: [{ key: 'k', value: 1 }], tags: ['t'], stageTags: [] },
    ...{ extension: { dist: 1 }, written: WRITTEN },
    package: {
      ...{ description: 'pads', versionTag: { latest: '1.0.0' }, extension: {}, origin: 'source-1' },
      ...{ hlc: makeHlc(1_700_000_000_000, 2), ...WRITTEN },
    },
    ...changes,
  }
}

const PLAIN = { noNullPrototype: true }
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, PLAIN)
const item = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const name = fc.string({ unit: 'grapheme', maxLength: 60 })
const path = name.map((text) => `/${text}`)
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const count = fc.maxSafeNat()
const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((all) => Buffer.from(all))
const hlc = bytesOf(8).map((bytes) => bytes.toString('hex') as Hlc)
const digest = bytesOf(32).map(digestFromBytes)
/** What came through JSON once comes through it again. */
const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const metadata: fc.Arbitrary<Metadata> = fc.array(record({ key: name, value: json }), { maxLength: 4 })
const expect: fc.Arbitrary<Precondition> = fc.oneof(
  fc.constant({ is: 'unknown' } as const),
  fc.constant({ is: 'absent' } as const),
  bytesOf(8).map((id) => ({ is: 'row', id }) as const),
)
const lane = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const lanes = fc.tuple(lane, lane, lane, lane)
const type = <T extends Frame['type']>(value: T) => fc.constant(value)
const written = { path, origin: name, hlc, expect }

const entry: fc.Arbitrary<EntryFrame> = record({
  ...{ type: type('entry'), item, ...written, digest },
  ...{
    md5: fc.option(bytesOf(16).map((bytes) => bytes.toString('hex'))),
    crc64: fc.option(fc.bigInt(0n, 2n ** 64n - 1n).map(String)),
  },
  ...{ metadata: fc.option(metadata), via: fc.array(name, { maxLength: 3 }), expiresAt: fc.option(count) },
  ...{ createdBy: name, createdAt: time, modifiedBy: name, modifiedAt: time },
  ...{
    size: count,
    content: fc.option(
      fc.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all)),
      { nil: undefined },
    ),
  },
}).map(({ size, ...frame }) => ({ ...frame, sizeBytes: frame.content?.length ?? size }))

const words = fc.dictionary(fc.string({ unit: fc.constantFrom('a', 'b', 'c') }), json, PLAIN)

const exception = record({
  item: fc.integer({ min: 1, max: 1_000_000 }),
  result: fc.constantFrom(...RESULTS),
  reason: name,
  remote: fc.option(record({ content: lanes, metadata: lanes })),
}) as fc.Arbitrary<AckFrame['exceptions'][number]>

/** Any frame that the types allow. */
export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  entry,
  record({ type: type('delete'), item, ...written, deletedBy: name }),
  record({ type: type('metadata'), item, ...written, metadata, modifiedBy: name, modifiedAt: time }),
  record({ type: type('barrier'), seq: count }),
  record({
    ...{ type: type('version'), item, packageKey: name, version: name, origin: name, hlc, expect },
    document: record({
      files: fc.array(path, { maxLength: 5 }),
      extension: words,
      tags: fc.array(name, { maxLength: 3 }),
    })
      // Some of them large enough to be packed.
      .chain(({ files, ...said }) =>
        fc.boolean().map((many) =>
          documentOf({
            ...said,
            files: (many ? Array(100).fill(files).flat() : files).map((one: string) => fileOf(one)),
          }),
        ),
      ),
  }),
  record({
    type: type('content'),
    item,
    digest,
    content: fc.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all)),
  }),
  record({ type: type('begin'), begin: fc.constant(BEGIN) }),
  record({
    type: type('ack'),
    hi: fc.integer({ min: 1_000_000, max: 2 ** 32 - 1 }),
    seq: count,
    exceptions: fc.array(exception, { maxLength: 5 }),
  }),
  record({ type: type('credit'), bytes: count }),
  record({ type: type('ping'), token: count }),
  record({ type: type('fenced'), fence: count }),
  fc.constant({ type: 'end' } as const),
  record({ type: type('refused'), code: count, status: count, reason: name }),
) as fc.Arbitrary<Frame>
