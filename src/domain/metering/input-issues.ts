import type { InputIssue } from '../../errors.ts'
import { isPrintable } from '../text.ts'
import type { MeteredCall } from './decision.ts'

const limits = { requestId: 64, resourceType: 64, resourceId: 256 }

/** What is wrong with the optional parts of a call; paths start at the call. Empty for a call that may be metered. */
export function inputIssuesOf({ requestId, resource }: MeteredCall): InputIssue[] {
  const issues: InputIssue[] = []
  const check = (path: string[], text: string | null | undefined, longest: number) => {
    if (text === null || text === undefined) return
    // Code units suffice for most, and a code point has at most two.
    const fits = text.length <= longest || (text.length <= 2 * longest && [...text].length <= longest)
    if (text === '' || !fits) issues.push({ path, message: `From 1 to ${longest} characters.` })
    else if (!isPrintable(text)) issues.push({ path, message: 'Control characters are not allowed.' })
  }
  check(['requestId'], requestId, limits.requestId)
  if (resource) {
    check(['resource', 'type'], resource.type, limits.resourceType)
    check(['resource', 'id'], resource.id, limits.resourceId)
  }
  return issues
}
