/** An image of the catalog. */
export interface CatalogEntry {
  readonly project: string
  readonly repo: string
  readonly name: string
}

/** Two ascending lists as one. */
export async function* inOrderOf(
  some: AsyncGenerator<CatalogEntry>,
  others: AsyncGenerator<CatalogEntry>,
): AsyncGenerator<CatalogEntry> {
  let [one, other] = [await some.next(), await others.next()]
  while (!(one.done && other.done)) {
    if (other.done || (!one.done && isBefore(one.value, other.value))) {
      yield one.value as CatalogEntry
      one = await some.next()
    } else {
      yield other.value
      other = await others.next()
    }
  }
}

function isBefore(a: CatalogEntry, b: CatalogEntry): boolean {
  if (a.project !== b.project) return a.project < b.project
  return a.repo === b.repo ? a.name < b.name : a.repo < b.repo
}
