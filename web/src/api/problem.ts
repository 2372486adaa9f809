import type { CombinedError } from '@urql/core'
import { formatNumber } from '../format.ts'
import { strings } from '../strings.ts'
import { SignedOutError } from './tokens.ts'

/** What went wrong and what to do about it, for the customer. */
export interface Problem {
  title: string
  hint: string
}

const problems: Record<string, Problem> = {
  UNAUTHENTICATED: strings.problems.signedOut,
  FORBIDDEN: strings.problems.notAllowed,
  OVERLOADED: strings.problems.busy,
  UNAVAILABLE: strings.problems.unavailable,
}

/** Describes why an operation failed. */
export function problemOf({ networkError, graphQLErrors }: CombinedError): Problem {
  const { signedOut, unreachable, defect } = strings.problems
  if (networkError instanceof SignedOutError)
    return { title: signedOut.title, hint: networkError.message || signedOut.hint }
  if (networkError) return unreachable
  return graphQLErrors.map(({ extensions }) => problems[String(extensions.code)]).find(Boolean) ?? defect
}

type Refusal =
  | { __typename: 'NotFound' }
  | { __typename: 'InvalidInput'; issues: readonly { message: string }[] }
  | { __typename: 'ApiKeyLimitReached'; limit: number; plan: { name: string } }

/** Describes why a mutation was refused. */
export function refusalOf(refusal: Refusal): Problem {
  switch (refusal.__typename) {
    case 'NotFound':
      return strings.problems.notFound
    case 'InvalidInput':
      return { title: refusal.issues.map(({ message }) => message).join(' '), hint: '' }
    case 'ApiKeyLimitReached':
      return strings.problems.limitReached(refusal.plan.name, refusal.limit, formatNumber(refusal.limit))
  }
}
