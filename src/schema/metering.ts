import { z } from 'zod'
import type { Decision, DecisionCode } from '../domain/metering/decision.ts'
import { resetsAt } from '../domain/month.ts'
import { listLimits } from '../limits.ts'
import { builder } from './builder.ts'
import { globalIdOf } from './global-id.ts'
import { meteringScope } from './scope-errors.ts'
import { AccountUsage } from './usage.ts'

const ApiCallDecisionCode = builder.enumType('ApiCallDecisionCode', {
  description: 'The outcome of a decision, for gateways to branch on.',
  values: {
    ADMITTED: { description: 'The call is allowed and has been counted.' },
    KEY_INVALID: {
      description: 'No key has this secret: it was never issued, or its key was regenerated or removed.',
    },
    ACCESS_DENIED: { description: "The key's access does not include this API call." },
    QUOTA_EXCEEDED: { description: 'The account has used up its calls for this month.' },
    API_CALL_UNKNOWN: { description: 'The catalogue has no API call with this name.' },
  } satisfies Record<DecisionCode, { description: string }>,
})

/** Safe to show to the caller of the SaaS's API. */
function messageOf(decision: Decision): string {
  switch (decision.code) {
    case 'ADMITTED':
      return 'api call admitted'
    case 'KEY_INVALID':
      return 'api key is not valid'
    case 'ACCESS_DENIED':
      return 'api key does not have access to perform this api call'
    case 'QUOTA_EXCEEDED':
      return `monthly api call quota is used up until ${resetsAt(decision.account.month).toISOString()}`
    case 'API_CALL_UNKNOWN':
      return 'there is no api call of this name'
  }
}

const ApiCallDecision = builder.objectRef<Decision>('ApiCallDecision').implement({
  description: 'Whether a call is allowed. A refusal is a decision too, not a GraphQL error.',
  fields: (t) => ({
    admitted: t.boolean({
      description: 'Whether the call is allowed. If so, it has been counted.',
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
      resolve: (decision) =>
        decision.code === 'KEY_INVALID' ? null : globalIdOf('ApiKey', decision.apiKeyId),
    }),
    accountExternalId: t.string({
      nullable: true,
      description: 'The id that the SaaS gives the customer; null when the key is not valid.',
      resolve: (decision) => (decision.code === 'KEY_INVALID' ? null : decision.accountExternalId),
    }),
    apiKeyCalls: t.field({
      type: 'SafeInt',
      nullable: true,
      description:
        'Calls made with this key this month, including this one if it was admitted; null if the key is not valid.',
      resolve: (decision) => (decision.code === 'KEY_INVALID' ? null : decision.apiKeyCalls),
    }),
    accountUsage: t.field({
      type: AccountUsage,
      nullable: true,
      description:
        "The account's usage this month, including this call if it was admitted; null if the key is not valid.",
      resolve: (decision) => (decision.code === 'KEY_INVALID' ? null : decision.account),
    }),
  }),
})

const MeterApiCallInput = builder.inputType('MeterApiCallInput', {
  description: 'A call to decide.',
  fields: (t) => ({
    secret: t.string({ required: true, description: 'The secret of the API key, as the caller sent it.' }),
    apiCall: t.string({ required: true, description: 'The name of the API call in the catalogue.' }),
  }),
})

const { meteredCalls } = listLimits

const MeterApiCallsInput = builder.inputType('MeterApiCallsInput', {
  description: 'Several calls to decide.',
  fields: (t) => ({
    calls: t.field({
      type: [MeterApiCallInput],
      required: true,
      validate: z.array(z.any()).max(meteredCalls, `At most ${meteredCalls} calls at once.`),
      description: 'Up to 1,000 calls, decided in this order.',
    }),
  }),
})

const MeterApiCallsPayload = builder.objectRef<Decision[]>('MeterApiCallsPayload').implement({
  description: 'The decisions on several calls.',
  fields: (t) => ({
    decisions: t.field({
      type: [ApiCallDecision],
      description: 'One decision per call, in the order of the calls.',
      extensions: { metering: true },
      resolve: (decisions) => decisions,
    }),
  }),
})

builder.mutationField('meterApiCall', (t) =>
  t.field({
    type: ApiCallDecision,
    description:
      'Decide whether a key may make an API call, and count the call if it may. For gateways (scope calls:meter).',
    authScopes: { scope: meteringScope },
    extensions: { metering: true },
    args: {
      input: t.arg({ type: MeterApiCallInput, required: true, description: 'The call to decide.' }),
    },
    resolve: async (_root, { input }, { meter }) => {
      const [decision] = await meter.admit([input])
      return decision as Decision
    },
  }),
)

builder.mutationField('meterApiCalls', (t) =>
  t.field({
    type: MeterApiCallsPayload,
    description: 'Decide up to 1,000 calls at once. For gateways (scope calls:meter).',
    authScopes: { scope: meteringScope },
    extensions: { metering: true },
    args: {
      input: t.arg({ type: MeterApiCallsInput, required: true, description: 'The calls to decide.' }),
    },
    resolve: (_root, { input }, { meter }) => meter.admit(input.calls),
  }),
)
