import { CliFailure, EXIT } from './cli-failure.ts'

/** `oci://registry/image[:tag]`, as `import` takes it. */
export interface ImageReference {
  /** With its scheme when one was written, for a registry without TLS. */
  readonly registry: string
  /** Undefined: all that the registry has. */
  readonly image: string | undefined
  /** Tag or digest; undefined: all tags. */
  readonly version: string | undefined
}

const FORM = /^(oci|docker|https?):\/\/([^/\s@]+)(?:\/([^\s:@]+))?\/?(?:[:@](\S+))?$/

/** Pure. @throws CliFailure. */
export function imageReference(text: string): ImageReference {
  const [, scheme = '', host, image, version] = FORM.exec(text) ?? []
  if (host === undefined || (image === undefined && version !== undefined)) {
    throw new CliFailure(`"${text}" names no image: write oci://registry.example:5000/team/nginx[:tag]`, EXIT.usage)
  }
  const registry = scheme.startsWith('http') ? `${scheme}://${host}` : host
  return { registry, image: image?.replace(/\/+$/, ''), version }
}

const MOST_CHARACTERS = 128

/** What the import of it is called: the same for the same, so that doing it again goes on with it. Pure. */
export function importNameOf({ registry, image, version }: ImageReference): string {
  const parts = [image ?? registry.replace(/^https?:\/\//, ''), ...(version === undefined ? [] : [version])]
  const name = parts.join('-').replaceAll(/[^a-zA-Z0-9_-]+/g, '_')
  return `i_${name}`.slice(0, MOST_CHARACTERS)
}
