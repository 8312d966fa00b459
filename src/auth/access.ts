import { isAnonymous, type Principal } from './principal.ts'

/** core.md 4. */
export const ACTIONS = ['MANAGE', 'WRITE', 'READ', 'DOWNLOAD', 'VIEW', 'UPDATE', 'DELETE'] as const
export type Action = (typeof ACTIONS)[number]

/** What is asked for. A repository that does not exist counts as a private one, so that its absence is told only to those who may know. */
export type Resource =
  | { readonly kind: 'anything' }
  | { readonly kind: 'login' }
  | { readonly kind: 'system' }
  | { readonly kind: 'replication' }
  | { readonly kind: 'account'; readonly userId: string }
  | { readonly kind: 'repository'; readonly public: boolean }

/** `login`: not without credentials, which may change the answer. */
export type Decision = 'allow' | 'deny' | 'login'

const PUBLIC_ACTIONS: ReadonlySet<Action> = new Set(['READ', 'DOWNLOAD', 'VIEW'])

/**
 * The one place that decides who may do what (core.md 4). Until roles and permissions come, a user who is not an administrator
 * has an account of their own and what is public; that issue adds the caller's grants to the arguments and widens the last lines.
 */
export function decide(principal: Principal, action: Action, resource: Resource): Decision {
  if (principal.admin || resource.kind === 'anything') return 'allow'
  if (resource.kind === 'repository' && resource.public && PUBLIC_ACTIONS.has(action)) return 'allow'
  if (isAnonymous(principal)) return 'login'
  if (resource.kind === 'login') return 'allow'
  if (resource.kind === 'account') return resource.userId === principal.userId ? 'allow' : 'deny'
  return 'deny'
}
