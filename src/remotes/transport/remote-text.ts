/** Of a text that somebody else wrote: enough to say what is wrong. */
const MAX_CHARACTERS = 1_000

/**
 * Text of another server as it may be stored, logged and shown: at most 1,000 characters, whole ones, control characters replaced by
 * spaces. What is no text is empty.
 */
export function remoteText(text: unknown): string {
  if (typeof text !== 'string') return ''
  return text
    .slice(0, MAX_CHARACTERS)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
}
