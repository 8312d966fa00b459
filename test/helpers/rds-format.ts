import { Readable } from 'node:stream'
import type { DraftFile } from '../../src/artifacts/packages/version-draft.ts'
import { AppError, invalid } from '../../src/core/errors.ts'
import { packageKey, packageNameOf } from '../../src/core/package-key.ts'
import { normalisePath } from '../../src/core/paths.ts'
import { semanticOrder } from '../../src/core/version-order.ts'
import type { Format } from '../../src/formats/format.ts'
import type { ProtocolRequest, ProtocolRoute, ProtocolServices } from '../../src/formats/protocol.ts'

/**
 * A small package type for tests of what has to do with packages, until real ones arrive. It takes the contract's name `RDS`, a type
 * that no issue builds: users of a server without it cannot create such a repository. Versions have one file, or two with notes, and
 * may share a file that is there already, as layers of images are shared.
 *
 *     PUT    /rds/{p}/{r}/{name}/{version}    the body is the main file. Query: notes (text of a second file), shared (path of a
 *                                            stored file), tag, description, note (metadata), overwrite=true
 *     GET    /rds/{p}/{r}/{name}/{version}    the main file
 *     GET    /rds/{p}/{r}/{name}              what is derived from the rows: versions, tags, latest
 *     DELETE /rds/{p}/{r}/{name}/{version}
 */
export const rdsFormat: Format = {
  type: 'RDS',
  packages: {
    parsePackageKey: (key) => (/^[a-z0-9.-]+$/.test(packageNameOf(key)) ? { name: packageNameOf(key) } : undefined),
    orderOf: semanticOrder,
    identical: 'accept',
    deleted: 'refuse',
  },
  protocol: {
    routes: (services) => [put(services), get(services), list(services), remove(services)],
    errorBody: ({ code, message }, status) => ({ status, body: { error: message, reason: code } }),
  },
}

const VERSION = '/:name/:version'
const keyOf = ({ params }: ProtocolRequest): string => packageKey('RDS', params.name ?? '')

const put = ({ publishing, blobs }: ProtocolServices): ProtocolRoute => ({
  method: 'PUT',
  path: VERSION,
  summary: 'Publish',
  access: 'WRITE',
  async handle(request) {
    const { params, query, repository, userId, signal } = request
    const { name = '', version = '' } = params
    if (name.startsWith('.')) throw invalid('name')
    const folder = `/${name}/${version}`
    await using main = await blobs.receive(request.openBody(), {}, signal)
    await using notes = await blobs.receive(Readable.from([Buffer.from(query.notes ?? '')]), {}, signal)
    const files: DraftFile[] = [
      ...(query.shared === undefined
        ? []
        : [{ path: normalisePath(query.shared), role: 'shared', content: 'stored' as const }]),
      ...(query.notes === undefined
        ? []
        : [{ path: normalisePath(`${folder}/notes.txt`), role: 'notes', content: notes }]),
      { path: normalisePath(`${folder}/${name}-${version}.rds`), role: 'main', content: main },
    ]
    const { outcome } = await publishing.publish(
      repository,
      {
        packageKey: keyOf(request),
        version,
        files,
        existing: query.overwrite === 'true' ? 'replace' : 'refuse',
        metadata: query.note === undefined ? [] : [{ key: 'note', value: query.note }],
        package: {
          tags: query.tag === undefined ? [] : [query.tag],
          ...(query.description === undefined ? {} : { description: query.description }),
        },
      },
      userId,
      signal,
    )
    return { status: outcome === 'created' ? 201 : 200, body: { outcome } }
  },
})

const get = ({ packages }: ProtocolServices): ProtocolRoute => ({
  method: 'GET',
  path: VERSION,
  summary: 'Download',
  access: 'DOWNLOAD',
  async handle(request) {
    const version = await packages.getVersion(request.repository, keyOf(request), request.params.version ?? '')
    if (request.query.file === undefined) {
      return { file: await packages.mainFileOf(version), countsFor: version.id }
    }
    const found = (await packages.filesOf(version)).find(({ role }) => role === request.query.file)
    if (found === undefined) throw new AppError('NODE_NOT_FOUND', `no file [${request.query.file}]`)
    return { file: found.node }
  },
})

const list = ({ packages }: ProtocolServices): ProtocolRoute => ({
  method: 'GET',
  path: '/:name',
  summary: 'Versions',
  access: 'READ',
  async handle(request) {
    const { repository } = request
    const one = await packages.get(repository, keyOf(request))
    const filter = { namePrefix: undefined, stageTags: undefined, metadata: undefined }
    const page = { pageNumber: 1, pageSize: 1_000 }
    const order = [{ key: 'ordinal', direction: 'asc' }] as const
    const versions = await packages.pageVersions(repository, one.key, filter, order, page)
    const names = versions.records.map(({ name }) => name)
    return { status: 200, body: { name: one.name, latest: one.latest, tags: one.versionTag, versions: names } }
  },
})

const remove = ({ deletion }: ProtocolServices): ProtocolRoute => ({
  method: 'DELETE',
  path: VERSION,
  summary: 'Delete',
  access: 'DELETE',
  async handle(request) {
    await deletion.deleteVersion(request.repository, keyOf(request), request.params.version ?? '', request.userId)
    return { status: 204 }
  },
})
