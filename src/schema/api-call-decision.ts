import type {
  ApiKeyDecision,
  Decision,
  DecisionCode,
  RateLimitScope,
  RateLimitState,
} from '../domain/metering/decision.ts'
import { resetsAt } from '../domain/month.ts'
import { ApiKeyResources } from './api-key-resources.ts'
import { builder } from './builder.ts'
import { globalIdOf } from './global-id.ts'
import { AccountUsage } from './usage.ts'

export const ApiCallDecisionCode = builder.enumType('ApiCallDecisionCode', {
  description:
    'The outcome of a decision, for gateways to branch on. Where several refusals apply, the first in this order is given.',
  values: {
    ADMITTED: { description: 'The call is allowed and has been counted.' },
    KEY_INVALID: {
      description: 'No key has this secret: it was never issued, or its key was regenerated or removed.',
    },
    KEY_DISABLED: { description: 'The key is disabled until somebody enables it again.' },
    KEY_EXPIRED: { description: 'The key has expired.' },
    ACCOUNT_SUSPENDED: { description: 'The SaaS has suspended the account: none of its keys works.' },
    API_CALL_UNKNOWN: { description: 'The catalogue has no API call with this name.' },
    ACCESS_DENIED: { description: "The key's access does not include this API call." },
    RESOURCE_DENIED: {
      description: 'The key may touch only some resources, and the call names none of them.',
    },
    NETWORK_DENIED: {
      description: 'The key may be used only from some networks, and clientIp lies in none of them.',
    },
    REQUEST_ID_REUSED: { description: 'This requestId was used with this key for another API call.' },
    RATE_LIMITED: {
      description: 'Calls come too fast for the rate of the account, of the API call, or of the key.',
    },
    KEY_LIMIT_EXCEEDED: {
      description: "The key's own monthly limit is used up; the account's quota may not be.",
    },
    QUOTA_EXCEEDED: { description: 'The account has used up its calls for this month.' },
  } satisfies Record<DecisionCode, { description: string }>,
})

/** Safe to show to the caller of the SaaS's API. */
function messageOf(decision: Decision): string {
  switch (decision.code) {
    case 'ADMITTED':
      return 'api call admitted'
    case 'KEY_INVALID':
      return 'api key is not valid'
    case 'KEY_DISABLED':
      return 'api key is disabled'
    case 'KEY_EXPIRED':
      return 'api key has expired'
    case 'ACCOUNT_SUSPENDED':
      return 'account is suspended'
    case 'API_CALL_UNKNOWN':
      return 'there is no api call of this name'
    case 'ACCESS_DENIED':
      return 'api key does not have access to perform this api call'
    case 'RESOURCE_DENIED':
      return 'api key does not have access to this resource'
    case 'NETWORK_DENIED':
      return 'api key may not be used from this address'
    case 'REQUEST_ID_REUSED':
      return 'request id was already used for another api call'
    case 'RATE_LIMITED':
      return `too many api calls, ${untilText(decision)}`
    case 'KEY_LIMIT_EXCEEDED':
      return `monthly limit of the api key is used up until ${resetsAt(decision.account.month).toISOString()}`
    case 'QUOTA_EXCEEDED':
      return `monthly api call quota is used up until ${resetsAt(decision.account.month).toISOString()}`
  }
}

const untilText = ({ retryAt }: ApiKeyDecision) =>
  retryAt ? `try again after ${retryAt.toISOString()}` : 'none is left'

const RateLimitScopeEnum = builder.enumType('RateLimitScope', {
  description: 'What a rate limit is of.',
  values: {
    ACCOUNT: { description: "The plan's rate: all calls with all of the account's keys together." },
    API_CALL: { description: "The API call's rate: the account's calls of this one." },
    API_KEY: { description: "The key's own rate." },
  } satisfies Record<RateLimitScope, { description: string }>,
})

const RateLimitStateObject = builder.objectRef<RateLimitState>('RateLimitState').implement({
  description: 'A token bucket, which holds up to calls tokens and is refilled evenly within perSeconds.',
  fields: (t) => ({
    scope: t.expose('scope', { type: RateLimitScopeEnum, description: 'What it is the rate of.' }),
    calls: t.exposeInt('calls', { description: 'Calls that it has room for when it is full.' }),
    perSeconds: t.exposeInt('perSeconds', { description: 'Seconds in which it fills up.' }),
    remaining: t.exposeInt('remaining', { description: 'Calls that it has room for at the moment.' }),
    resetsAt: t.expose('resetsAt', {
      type: 'DateTime',
      description: 'When it will be full again if no further call comes.',
    }),
  }),
})

const isOfKey = (decision: Decision): decision is ApiKeyDecision => decision.code !== 'KEY_INVALID'

export const ApiCallDecision = builder.objectRef<Decision>('ApiCallDecision').implement({
  description: 'Whether a call is allowed. A refusal is a decision too, not a GraphQL error.',
  fields: (t) => ({
    admitted: t.boolean({
      description: 'Whether the call is allowed. If so, it has been counted, unless it is a replay.',
      resolve: ({ code }) => code === 'ADMITTED',
    }),
    code: t.expose('code', {
      type: ApiCallDecisionCode,
      description: 'The outcome, for gateways to branch on.',
    }),
    message: t.string({
      description: "An explanation that is safe to pass on to the API's caller.",
      resolve: messageOf,
    }),
    apiKeyId: t.id({
      nullable: true,
      description: 'The id of the key; null if the key is not valid.',
      resolve: (decision) => (isOfKey(decision) ? globalIdOf('ApiKey', decision.apiKeyId) : null),
    }),
    accountExternalId: t.string({
      nullable: true,
      description: 'The id that the SaaS gives the customer; null when the key is not valid.',
      resolve: (decision) => (isOfKey(decision) ? decision.accountExternalId : null),
    }),
    apiKeyCalls: t.field({
      type: 'SafeInt',
      nullable: true,
      description:
        'Calls made with this key this month, including this one if it was admitted; null if the key is not valid.',
      resolve: (decision) => (isOfKey(decision) ? decision.apiKeyCalls : null),
    }),
    accountUsage: t.field({
      type: AccountUsage,
      nullable: true,
      description:
        "The account's usage this month, including this call if it was admitted; null if the key is not valid.",
      resolve: (decision) => (isOfKey(decision) ? decision.account : null),
    }),
    retryAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When another try is worth it, for RATE_LIMITED, KEY_LIMIT_EXCEEDED and QUOTA_EXCEEDED; null for other codes, and where the limit is 0.',
      resolve: (decision) => (isOfKey(decision) ? decision.retryAt : null),
    }),
    replayed: t.boolean({
      description: 'Whether the call was admitted before under this requestId, and is not counted again.',
      resolve: (decision) => isOfKey(decision) && decision.replayed,
    }),
    previousSecret: t.boolean({
      description: 'Whether the secret is one that was replaced and still works for a while.',
      resolve: (decision) => isOfKey(decision) && decision.previousSecret,
    }),
    rateLimits: t.field({
      type: [RateLimitStateObject],
      description: 'The rates that this call had to keep to, after this call.',
      resolve: (decision) => (isOfKey(decision) ? decision.rateLimits : []),
    }),
    allowedResources: t.field({
      type: [ApiKeyResources],
      nullable: true,
      description:
        'What the key may touch, so that the API can leave the rest out of a list; null means everything. Empty if the call is refused.',
      resolve: (decision) => (isOfKey(decision) ? decision.allowedResources : []),
    }),
  }),
})
