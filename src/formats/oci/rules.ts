import type { PackageRules } from '../../artifacts/packages/package-rules.ts'
import { type ContentName, parseContentName } from '../../core/content-name.ts'
import { packageNameOf } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import { creationOrder } from '../../core/version-order.ts'
import { parseImageName } from './coordinates.ts'

const MAIN = /\/manifest\/[^/]+\/((?:list\.)?manifest\.json)$/
const BLOB = /^\/(.+)\/blobs\/(sha256|sha512)__([0-9a-f]+)$/

/** Images, of DOCKER and OCI repositories alike: a tag is a version, and a manifest that has none is one that is not listed. */
export const imageRules: PackageRules = {
  parsePackageKey(key) {
    const name = parseImageName(packageNameOf(key))
    return name === undefined ? undefined : { name }
  },
  orderOf: creationOrder,
  identical: 'accept',
  deleted: 'allow',
  identify: (version, { digest, subject }) => ({
    // No tag has a colon.
    listed: !version.includes(':'),
    digest: contentName(digest) ?? null,
    subject: contentName(subject) ?? null,
  }),
  keptAs({ digest }) {
    if (digest === null) return undefined
    return { version: digest, mainPath: (from) => from.replace(MAIN, `/manifest/${digest}/$1`) as NodePath }
  },
  looseAs(path) {
    const [, image = '', algorithm, hex] = BLOB.exec(path) ?? []
    const name = parseContentName(`${algorithm}:${hex}`)
    return name === undefined || parseImageName(image) === undefined ? undefined : { image, name }
  },
}

/** What a document of another cluster says may be anything. */
const contentName = (value: unknown): ContentName | undefined =>
  typeof value === 'string' ? parseContentName(value) : undefined
