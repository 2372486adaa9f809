import { z } from 'zod'
import type { Decision, DecisionCode } from '../domain/metering/decision.ts'
import { resetsAt } from '../domain/month.ts'
import { builder } from './builder.ts'
import { globalIdOf } from './global-id.ts'
import { AccountUsage } from './usage.ts'

const ApiCallDecisionCode = builder.enumType('ApiCallDecisionCode', {
  description: 'What a gateway branches on.',
  values: {
    ADMITTED: { description: 'The key may make the call, and it has been counted.' },
    KEY_INVALID: { description: 'No such secret: never issued, regenerated away or removed.' },
    ACCESS_DENIED: { description: "The key's access does not include this API call." },
    QUOTA_EXCEEDED: { description: "The account's calls for this month are used up." },
    API_CALL_UNKNOWN: { description: 'The catalogue has no API call of this name.' },
  } satisfies Record<DecisionCode, { description: string }>,
})

/** What the caller of the SaaS's API may be told. */
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
  description: 'A refusal is a decision, not a GraphQL error, so that a gateway branches on code.',
  fields: (t) => ({
    admitted: t.boolean({
      description: 'Whether the call may go on. If so, it has been counted for good.',
      resolve: ({ code }) => code === 'ADMITTED',
    }),
    code: t.expose('code', { type: ApiCallDecisionCode, description: 'What to branch on.' }),
    message: t.string({ description: "Safe to pass on to the API's caller.", resolve: messageOf }),
    apiKeyId: t.id({
      nullable: true,
      description: 'The id of the key; null when the key is not valid.',
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
      description: 'Calls by this key this month, this one included when admitted.',
      resolve: (decision) => (decision.code === 'KEY_INVALID' ? null : decision.apiKeyCalls),
    }),
    accountUsage: t.field({
      type: AccountUsage,
      nullable: true,
      description: "The account's month, this call included when admitted.",
      resolve: (decision) => (decision.code === 'KEY_INVALID' ? null : decision.account),
    }),
  }),
})

const MeterApiCallInput = builder.inputType('MeterApiCallInput', {
  description: 'One API call that somebody wants to make.',
  fields: (t) => ({
    secret: t.string({ required: true, description: 'The API key as the caller sent it.' }),
    apiCall: t.string({ required: true, description: 'The name of the API call in the catalogue.' }),
  }),
})

const mostCalls = 1_000

const MeterApiCallsInput = builder.inputType('MeterApiCallsInput', {
  description: 'Several API calls at once.',
  fields: (t) => ({
    calls: t.field({
      type: [MeterApiCallInput],
      required: true,
      validate: z.array(z.any()).max(mostCalls, `At most ${mostCalls} calls at once.`),
      description: 'Up to 1,000 API calls, in the order in which they are to be decided.',
    }),
  }),
})

const MeterApiCallsPayload = builder.objectRef<Decision[]>('MeterApiCallsPayload').implement({
  description: 'The decisions.',
  fields: (t) => ({
    decisions: t.field({
      type: [ApiCallDecision],
      description: 'One a call, in the order given.',
      resolve: (decisions) => decisions,
    }),
  }),
})

builder.mutationField('meterApiCall', (t) =>
  t.field({
    type: ApiCallDecision,
    description:
      'Verify a key for one API call and, when admitted, count it. For gateways (scope calls:meter).',
    authScopes: { scope: 'calls:meter' },
    extensions: { metering: true },
    args: {
      input: t.arg({ type: MeterApiCallInput, required: true, description: 'The key and the API call.' }),
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
    description: 'The same for up to 1,000 calls at once, answered in the order given.',
    authScopes: { scope: 'calls:meter' },
    extensions: { metering: true },
    args: {
      input: t.arg({ type: MeterApiCallsInput, required: true, description: 'The keys and the API calls.' }),
    },
    resolve: (_root, { input }, { meter }) => meter.admit(input.calls),
  }),
)
