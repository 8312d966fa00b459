import { Type } from 'typebox'
import type { PlatformAccounts } from '../../auth/platform-accounts.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { App, Routes } from '../route.ts'
import {
  AccountBody,
  AccountInfo,
  accountChangeOf,
  CredentialCheck,
  CredentialInfo,
  NewCredentialInfo,
  newAccountOf,
  toAccountInfo,
  toCredentialInfo,
  toNewCredentialInfo,
} from './account-wire.ts'

export interface AccountRouteDeps {
  readonly accounts: PlatformAccounts
  readonly dates: Dates
}

const PATH = '/auth/api/account'
const tags = ['accounts']
const config = { access: 'ADMIN' } as const
const done = answers(Type.Boolean())
const AppParams = Type.Object({ appId: Type.String() })
const KeyParams = Type.Object({ appId: Type.String(), accessKey: Type.String() })
const StatusParams = Type.Object({ appId: Type.String(), accessKey: Type.String(), status: Type.String() })

/** Platform accounts and their key pairs (core.md 3). A secret key leaves once, in the answer that makes it. */
export const accountRoutes =
  (deps: AccountRouteDeps): Routes =>
  async (app) => {
    accountsOf(app, deps)
    credentialsOf(app, deps)
  }

function accountsOf(app: App, { accounts, dates }: AccountRouteDeps): void {
  app.post(
    `${PATH}/create`,
    {
      schema: {
        ...{ tags, summary: 'Create a platform account with a first key pair' },
        ...{ body: documented(AccountBody), response: answers(NewCredentialInfo) },
      },
      config,
    },
    async ({ body, principal }) =>
      ok(toNewCredentialInfo(await accounts.create(newAccountOf(body), principal.userId), dates)),
  )
  app.put(
    `${PATH}/update`,
    { schema: { tags, summary: 'Change a platform account', body: documented(AccountBody), response: done }, config },
    async ({ body, principal }) => {
      await accounts.update(fieldsOf(body).requiredText('appId'), accountChangeOf(body), principal.userId)
      return ok(true)
    },
  )
  app.delete(
    `${PATH}/delete/:appId`,
    { schema: { tags, summary: 'Delete a platform account and its keys', params: AppParams, response: done }, config },
    async ({ params }) => {
      await accounts.delete(params.appId)
      return ok(true)
    },
  )
  app.get(
    `${PATH}/list`,
    { schema: { tags, summary: 'List platform accounts', response: answers(Type.Array(AccountInfo)) }, config },
    async () => ok((await accounts.list()).map((account) => toAccountInfo(account, dates))),
  )
  app.get(
    `${PATH}/detail/:appId`,
    {
      schema: { tags, summary: 'Describe a platform account', params: AppParams, response: answers(AccountInfo) },
      config,
    },
    async ({ params }) => ok(toAccountInfo(await accounts.get(params.appId), dates)),
  )
}

function credentialsOf(app: App, { accounts, dates }: AccountRouteDeps): void {
  for (const what of ['credential', 'credential/list']) {
    app.get(
      `${PATH}/${what}/:appId`,
      {
        schema: {
          ...{ tags, summary: 'List the access keys of a platform account' },
          ...{ params: AppParams, response: answers(Type.Array(CredentialInfo)) },
        },
        config,
      },
      async ({ params }) =>
        ok((await accounts.listCredentials(params.appId)).map((one) => toCredentialInfo(one, dates))),
    )
  }
  app.post(
    `${PATH}/credential/:appId`,
    {
      schema: {
        ...{ tags, summary: 'Make another key pair for a platform account' },
        ...{ params: AppParams, response: answers(NewCredentialInfo) },
      },
      config,
    },
    async ({ params }) => ok(toNewCredentialInfo(await accounts.createCredential(params.appId), dates)),
  )
  app.delete(
    `${PATH}/credential/:appId/:accessKey`,
    { schema: { tags, summary: 'Delete a key pair', params: KeyParams, response: done }, config },
    async ({ params }) => {
      await accounts.deleteCredential(params.appId, params.accessKey)
      return ok(true)
    },
  )
  app.put(
    `${PATH}/credential/:appId/:accessKey/:status`,
    { schema: { tags, summary: 'Enable or disable a key pair', params: StatusParams, response: done }, config },
    async ({ params: { appId, accessKey, status } }) => {
      await accounts.setStatus(appId, accessKey, queryChoice('status', status, ['ENABLE', 'DISABLE']) ?? 'ENABLE')
      return ok(true)
    },
  )
  app.post(
    `${PATH}/credential`,
    {
      schema: {
        ...{ tags, summary: 'Tell whose a key pair is' },
        ...{ body: documented(CredentialCheck), response: answers(Type.String({ description: 'appId' })) },
      },
      config: { ...config, audit: 'never' },
    },
    async ({ body }) => {
      const fields = fieldsOf(body)
      return ok(await accounts.check(fields.requiredText('accessKey'), fields.requiredText('secretKey')))
    },
  )
}
