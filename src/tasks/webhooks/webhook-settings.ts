import type { Secrets } from '../../auth/secrets.ts'
import { invalid } from '../../core/errors.ts'
import type { RequestFields } from '../../core/request-fields.ts'
import { checkOutgoingUrl, type OutgoingRules } from '../../remotes/outgoing-url.ts'

/** Whom the end of each run of a task is told (docs/webhooks.md). */
export interface Webhook {
  readonly url: string
  /** Signs what is sent; encrypted, bound to the URL. Null: it is not signed. */
  readonly secret: string | null
}

export interface WebhookSettings {
  /**
   * `setting.webhook` of a request. A secret that is absent or `******` stays as it is stored, also under another URL; an empty one goes.
   * @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID.
   */
  judge(fields: RequestFields | undefined, stored: Webhook | null): Webhook | null
  /** In clear; undefined: there is none. Never log it. @throws AppError SYSTEM_ERROR when it cannot be read. */
  secretOf(webhook: Webhook): string | undefined
}

export const MASK = '******'
const MAX_URL_LENGTH = 2_048
const MAX_SECRET_LENGTH = 1_024

export function createWebhookSettings(secrets: Secrets, rules: OutgoingRules): WebhookSettings {
  const secretOf = ({ url, secret }: Webhook) =>
    secret === null ? undefined : secrets.decrypt(secret, webhookSecretPlace(url))
  function sealed(url: string, given: string | undefined, stored: Webhook | null): string | null {
    if (given === '') return null
    if (given !== undefined && given !== MASK) {
      if (given.length > MAX_SECRET_LENGTH) throw invalid('webhook.secret', `more than ${MAX_SECRET_LENGTH} characters`)
      return secrets.encrypt(given, webhookSecretPlace(url))
    }
    if (stored === null || stored.url === url) return stored?.secret ?? null
    const plain = secretOf(stored)
    return plain === undefined ? null : secrets.encrypt(plain, webhookSecretPlace(url))
  }
  return {
    judge(fields, stored) {
      if (fields === undefined) return null
      const url = fields.requiredText('url')
      checkWebhookUrl(url, rules)
      return { url, secret: sealed(url, fields.text('secret'), stored) }
    },
    secretOf,
  }
}

/** An address for webhooks, as for others, but that it may have a query. */
function checkWebhookUrl(url: string, rules: OutgoingRules): void {
  if (url.length > MAX_URL_LENGTH) throw invalid('webhook.url', `more than ${MAX_URL_LENGTH} characters`)
  const [withoutQuery = ''] = url.split('?', 1)
  checkOutgoingUrl('webhook.url', withoutQuery, rules)
  if (URL.parse(url) === null || /[\u0000-\u0020#]/.test(url)) throw invalid('webhook.url', 'it is not an address')
}

/** Binds the ciphertext to where it is used: put beside another address, it cannot be read. */
export const webhookSecretPlace = (url: string) => `webhook/${url}/secret`
