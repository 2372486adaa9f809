import { z } from 'zod'
import type { Decision, MeteredCall } from '../domain/metering/decision.ts'
import { inputIssuesOf } from '../domain/metering/input-issues.ts'
import { InvalidInputError } from '../errors.ts'
import { listLimits } from '../limits.ts'
import { ApiCallDecision } from './api-call-decision.ts'
import { builder } from './builder.ts'
import { meteringScope } from './scope-errors.ts'

const ResourceInput = builder.inputType('ResourceInput', {
  description: 'What a call touches.',
  fields: (t) => ({
    type: t.string({ required: true, description: 'The type, from 1 to 64 characters.' }),
    id: t.string({
      description:
        'Its id, from 1 to 256 characters. Left out for a list: a key that may touch any of the type may read it, and allowedResources says what to leave out.',
    }),
  }),
})

const MeterApiCallInput = builder.inputType('MeterApiCallInput', {
  description: 'A call to decide.',
  fields: (t) => ({
    secret: t.string({ required: true, description: 'The secret of the API key, as the caller sent it.' }),
    apiCall: t.string({ required: true, description: 'The name of the API call in the catalogue.' }),
    clientIp: t.string({
      description:
        "The address that the API's caller came from. Without it, keys with allowedNetworks are refused.",
    }),
    resource: t.field({
      type: ResourceInput,
      description: 'What the call touches. Without it, keys with resources are refused.',
    }),
    requestId: t.string({
      description:
        'From 1 to 64 characters, unique to the call. Sent again within 24 hours, an admitted call is admitted again and not counted again, so a call may be repeated after UNAVAILABLE.',
    }),
  }),
})

/**
 * Calls that may be metered. Not with a rule of the schema, which would copy every call.
 * @throws InvalidInputError
 */
function checkedCalls<Call extends MeteredCall>(calls: readonly Call[], pathOf: (index: number) => string[]) {
  const issues = calls.flatMap((call, index) => {
    if (!call.requestId && call.requestId !== '' && !call.resource) return []
    return inputIssuesOf(call).map(({ path, message }) => ({ path: [...pathOf(index), ...path], message }))
  })
  if (issues.length > 0) throw new InvalidInputError(issues)
  return calls
}

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
      const [decision] = await meter.admit(checkedCalls([input], () => ['input']))
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
    resolve: (_root, { input }, { meter }) =>
      meter.admit(checkedCalls(input.calls, (index) => ['input', 'calls', String(index)])),
  }),
)
