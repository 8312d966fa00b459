/** What a document of a registry can be. Source: OCI image specification 1.1, docker's "Image Manifest V 2, Schema 2". */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
/** Of the release candidates of OCI image 1.1; some clients still push it. */
export const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'

export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json'
export const HELM_CONFIG = 'application/vnd.cncf.helm.config.v1+json'

export type ManifestKind = 'manifest' | 'index'
const KIND: Readonly<Record<string, ManifestKind>> = {
  [OCI_MANIFEST]: 'manifest',
  [DOCKER_MANIFEST]: 'manifest',
  [OCI_ARTIFACT]: 'manifest',
  [OCI_INDEX]: 'index',
  [DOCKER_LIST]: 'index',
}
/** Undefined: no document that a registry takes. */
export const kindOf = (mediaType: string): ManifestKind | undefined =>
  Object.hasOwn(KIND, mediaType) ? KIND[mediaType] : undefined

export const isSchema1 = (mediaType: string): boolean =>
  /^application\/vnd\.docker\.distribution\.manifest\.v1(?:\+json|\+prettyjws)?$/.test(mediaType)

/** `a/b; charset=utf-8` → `a/b`. */
export const bareType = (header: string): string => (header.split(';')[0] ?? '').trim().toLowerCase()
