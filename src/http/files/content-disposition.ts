/**
 * `attachment; filename="…"`, and for names beyond plain ASCII also `filename*=UTF-8''…`, which every browser prefers
 * (RFC 6266, RFC 8187). `%` is kept out of the plain form, because some clients would decode it.
 */
export function attachmentOf(name: string): string {
  const plain = name.replace(/[^\u0020-\u007e]/gu, '_').replace(/["\\%]/g, '_')
  const quoted = `attachment; filename="${plain}"`
  return plain === name ? quoted : `${quoted}; filename*=UTF-8''${extended(name)}`
}

/** `encodeURIComponent` leaves four characters that RFC 8187 does not allow. */
const extended = (text: string): string =>
  encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
