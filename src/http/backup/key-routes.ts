import { Type } from 'typebox'
import type { BackupKey, BackupKeys } from '../../backup/keys/backup-keys.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { BackupKeyBody, BackupKeyData } from './backup-schemas.ts'

export interface BackupKeyRouteDeps {
  readonly keys: BackupKeys
  readonly dates: Dates
}

/** Ours; `/api/job/backup/keys` is the same place (`aliases.ts`). */
const PATH = '/job/api/job/backup/keys'
const config = { access: 'ADMIN' } as const
const tags = ['backup']
const KeyParams = Type.Object({ id: Type.String() })
const LocationQuery = Type.Object({
  location: Type.String({ minLength: 1, description: 'The folder that holds the repository, or the repository' }),
})

/** Passphrases of encrypted repositories. A passphrase comes in a body only, and never leaves. */
export const backupKeyRoutes =
  ({ keys, dates }: BackupKeyRouteDeps): Routes =>
  async (app) => {
    app.get(
      PATH,
      {
        schema: {
          tags,
          summary: 'Keys of a backup repository, the oldest first',
          description: 'Each opens the repository with a passphrase of its own, which is never shown.',
          querystring: LocationQuery,
          response: answers(Type.Array(BackupKeyData)),
        },
        config,
      },
      async ({ query }, reply) =>
        ok((await keys.list(query.location, clientGone(reply))).map((key) => toBackupKey(key, dates))),
    )
    app.post(
      PATH,
      {
        schema: {
          tags,
          summary: 'Add a passphrase that opens a backup repository',
          description: 'The passphrase that the server is configured with must open it. Answers the id of the key.',
          body: documented(BackupKeyBody),
          response: answers(Type.String()),
        },
        config,
      },
      async ({ body }, reply) => ok(await keys.add(body, clientGone(reply))),
    )
    app.delete(
      `${PATH}/:id`,
      {
        schema: {
          tags,
          summary: 'Remove a key of a backup repository',
          description: 'Neither the last one, nor the only one that the passphrase of this server opens.',
          params: KeyParams,
          querystring: LocationQuery,
          response: answers(Type.Null()),
        },
        config,
      },
      async ({ params, query }, reply) => {
        await keys.remove(query.location, params.id, clientGone(reply))
        return ok(null)
      },
    )
  }

const toBackupKey = ({ id, createdAt, label }: BackupKey, dates: Dates) => ({
  id,
  createdDate: dates.format(createdAt),
  label,
})
