import { empty, invalid, missing } from '../../core/errors.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'

/** One member of a VIRTUAL repository, by name: one that is deleted and made again is a member again. */
export interface VirtualMember {
  readonly projectId: string
  readonly name: string
}

const MAX_MEMBERS = 100

/** @throws AppError naming the field. Whether the members exist and lead back to this repository is asked elsewhere. */
export function planMembers(given: readonly unknown[], project: string, prefix: string): VirtualMember[] {
  const list = `${prefix}repositoryList`
  if (given.length > MAX_MEMBERS) throw invalid(list, `more than ${MAX_MEMBERS} members`)
  const seen = new Set<string>()
  return given.map((item, index) => {
    const at = `${list}[${index}]`
    const fields = fieldsOf(item, at)
    const member = { projectId: fields.text('projectId') ?? project, name: nameOf(fields, at) }
    const key = memberKey(member)
    if (seen.has(key)) throw invalid(at, `[${key}] is in the list twice`)
    seen.add(key)
    return member
  })
}

export const memberKey = ({ projectId, name }: VirtualMember): string => `${projectId}/${name}`

function nameOf(fields: RequestFields, at: string): string {
  const name = fields.text('name')
  if (name === undefined) throw missing(`${at}.name`)
  if (name.trim() === '') throw empty(`${at}.name`)
  return name
}
