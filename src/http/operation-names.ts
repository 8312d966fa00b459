/** Methods as the field's clients say them. */
const VERB: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'head',
  POST: 'post',
  PUT: 'put',
  PATCH: 'patch',
  DELETE: 'delete',
}

/**
 * Gives each operation of the OpenAPI document the name that generated clients call it by: the method and the words of its URL
 * that are no parameters, e.g. `getRepositoryNodeDetail`. Where two would have one name, the second says what it is given.
 */
export function operationNames(): (method: string, url: string) => string {
  const taken = new Set<string>()
  return (method, url) => {
    const parts = url.split('/').filter((part) => part !== '' && part !== 'api')
    const isParameter = (part: string) => part.startsWith(':') || part === '*'
    const words = parts.filter((part) => !isParameter(part)).map(capitalised)
    const given = parts.filter(isParameter).map((part) => (part === '*' ? 'Path' : capitalised(part.slice(1))))
    const base = `${VERB[method] ?? method.toLowerCase()}${words.join('')}`
    const candidates = [base, `${base}By${given.at(-1) ?? 'Root'}`, `${base}By${given.join('And')}`]
    const name = candidates.find((candidate) => !taken.has(candidate)) ?? `${base}${taken.size}`
    taken.add(name)
    return name
  }
}

const capitalised = (word: string): string =>
  word
    .split(/[^A-Za-z0-9]+/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
