/** One value that a search compares with. Dates are UTC epoch milliseconds. */
export type SearchScalar = string | number | boolean

/** What one leaf asks of one value. Negations (NE, NIN, NULL) are NOR nests: a value that is not there is not equal to anything. */
export type SearchTest =
  | { readonly is: 'in'; readonly values: readonly SearchScalar[] }
  | { readonly is: 'present' }
  | { readonly is: '<' | '<=' | '>' | '>='; readonly value: number }
  | { readonly is: 'prefix' | 'suffix' | 'contains'; readonly text: string }
  /** The parts of the pattern between its `*`, of which each stands for any run of characters. */
  | { readonly is: 'match'; readonly parts: readonly string[]; readonly letters: 'exact' | 'any-case' }

export interface SearchLeaf {
  /** As on the wire, e.g. `fullPath`; `metadata` for an entry of the metadata. */
  readonly field: string
  /** Of the entry, when `field` is `metadata`. */
  readonly key?: string
  readonly test: SearchTest
}
export interface SearchNest {
  readonly relation: 'AND' | 'OR' | 'NOR'
  readonly rules: readonly SearchRule[]
}
export type SearchRule = SearchLeaf | SearchNest

export const isNest = (rule: SearchRule): rule is SearchNest => 'rules' in rule

/** `AND` inside `AND` says nothing new. */
export function conjuncts(rules: readonly SearchRule[]): SearchRule[] {
  return rules.flatMap((rule) => (isNest(rule) && rule.relation === 'AND' ? conjuncts(rule.rules) : [rule]))
}
