/** Images (docs/design/images.md). */
export interface ImageTables {
  loose_blob: LooseBlobTable
}

/** A blob of an image that no manifest names yet. */
interface LooseBlobTable {
  repo_id: number
  image: string
  /** Its digest as the client names it: `sha256:…` or `sha512:…`. */
  name: string
  sha256: Uint8Array
  size: number
  /** When somebody last relied on it. */
  touched_at: number
}
