import type { Action } from '../../auth/grants.ts'
import { invalid } from '../../core/errors.ts'
import { type ImageName, parseImageName } from '../../formats/oci/coordinates.ts'

/** What clients of a registry ask a token for. Source: docker's token scope documentation. */
export type AskedScope =
  | {
      readonly kind: 'image'
      readonly project: string
      readonly repo: string
      readonly image: ImageName
      readonly words: readonly Word[]
    }
  | { readonly kind: 'catalog' }
export type Word = keyof typeof ACTION_OF

export const ACTION_OF = { pull: 'DOWNLOAD', push: 'WRITE', delete: 'DELETE' } as const satisfies Record<string, Action>
/** What a challenge asks for. Whoever pushes looks first what is there. */
export const WORDS_FOR: Readonly<Partial<Record<Action, string>>> = {
  DOWNLOAD: 'pull',
  WRITE: 'pull,push',
  DELETE: 'delete',
}
export const CATALOG_SCOPE = 'registry:catalog:*'

const ALL = Object.keys(ACTION_OF) as readonly Word[]
/** Tokens travel in a header, and have their limit there (`auth/signed-tokens.ts`). */
const MAX_SCOPES = 50
const MAX_CHARACTERS = 6_000
const IMAGE = /^repository(?:\([a-z]+\))?:([^/:\u0000-\u001f]+)\/([^/:\u0000-\u001f]+)\/([^:]+):([^:]*)$/

/**
 * @param given the parameters `scope`, each with several scopes at most. What is no scope of ours is left out, as any registry does:
 * the token is then good for the rest. @throws AppError PARAMETER_INVALID for more than 50, or 6,000 characters.
 */
export function parseScopes(given: readonly string[]): AskedScope[] {
  const texts = given.flatMap((text) => text.split(/\s+/)).filter((text) => text !== '')
  if (texts.length > MAX_SCOPES || texts.join('').length > MAX_CHARACTERS) {
    throw invalid('scope', `at most ${MAX_SCOPES} at once, of ${MAX_CHARACTERS} characters together`)
  }
  const asked: AskedScope[] = []
  for (const text of new Set(texts)) {
    if (text === CATALOG_SCOPE) asked.push({ kind: 'catalog' })
    const [, project = '', repo = '', name = '', listed = ''] = IMAGE.exec(text) ?? []
    const image = parseImageName(name)
    const words = listed.split(',')
    const known = words.includes('*') ? ALL : ALL.filter((word) => words.includes(word))
    if (image !== undefined && known.length > 0) asked.push({ kind: 'image', project, repo, image, words: known })
  }
  return asked
}
