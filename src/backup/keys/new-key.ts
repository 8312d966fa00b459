import { invalid } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'

/** What a POST of a key says. */
export interface KeyRequest {
  readonly location: string
  readonly passphrase: string
  readonly label: string | undefined
}

const LEAST_CHARACTERS = 12
const MOST_CHARACTERS = 1_024
const MOST_LABEL_CHARACTERS = 64
/** No line of a settings file, and no environment, holds them. */
const CONTROL = /\p{Cc}/u

/** No refusal repeats the passphrase. @throws AppError of `RequestFields`; PARAMETER_INVALID saying what is wrong. */
export function readKeyRequest(body: unknown): KeyRequest {
  const fields = fieldsOf(body)
  const location = fields.requiredText('location')
  const passphrase = fields.requiredText('passphrase')
  checkPassphrase(passphrase)
  const label = fields.text('label')?.trim() || undefined
  if (label !== undefined) checkLabel(label, passphrase)
  return { location, passphrase, label }
}

/** @throws AppError PARAMETER_INVALID naming `field`, and never the passphrase. */
export function checkPassphrase(passphrase: string, field = 'passphrase'): void {
  const { length } = [...passphrase.normalize('NFKC')]
  if (length < LEAST_CHARACTERS) throw invalid(field, `it needs ${LEAST_CHARACTERS} characters or more`)
  if (length > MOST_CHARACTERS) throw invalid(field, `it may have ${MOST_CHARACTERS} characters at most`)
  if (CONTROL.test(passphrase)) throw invalid(field, 'it holds a line break or another control character')
}

function checkLabel(label: string, passphrase: string): void {
  if (!isLabel(label)) {
    throw invalid('label', `it may have ${MOST_LABEL_CHARACTERS} characters at most, without control characters`)
  }
  if (label.includes(passphrase)) throw invalid('label', 'it holds the passphrase, and everybody can read it')
}

/** Whether a place may be believed that a key is called so. */
export const isLabel = (text: string): boolean => [...text].length <= MOST_LABEL_CHARACTERS && !CONTROL.test(text)
