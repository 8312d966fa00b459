import type { PackageRules } from '../../src/artifacts/packages/package-rules.ts'
import type { ContentName } from '../../src/core/content-name.ts'
import type { NodePath } from '../../src/core/paths.ts'

const textIn = (value: unknown) => (typeof value === 'string' ? value : null)

/** Rules that keep content as images do: `extension.digest` is a version's digest, names with a colon are not listed. */
export const keptRules: Pick<PackageRules, 'identify' | 'keptAs' | 'looseAs' | 'deleted'> = {
  deleted: 'allow',
  identify: (version, { digest, subject }) => ({
    ...{ listed: !version.includes(':'), digest: textIn(digest), subject: textIn(subject) },
  }),
  keptAs: ({ digest }) =>
    digest === null ? undefined : { version: digest, mainPath: () => `/kept/${digest.replace(':', '-')}` as NodePath },
  looseAs: (path) => (path.startsWith('/blobs/') ? { image: 'a', name: path.slice(7) as ContentName } : undefined),
}
export const digestIs = (digest: string, more: object = {}) => ({ extension: { digest, ...more } })
