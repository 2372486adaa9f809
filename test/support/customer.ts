import { customerScopes } from '../../src/development.ts'
import type { Response, TestApp } from './app.ts'
import type { AccountOverviewQuery, AddApiKeyInput, AddApiKeyMutation } from './generated/graphql.ts'
import { AccountOverview, AddApiKey, MeterApiCall, SaveAccount, SavePlan } from './operations.ts'

type AddResult = AddApiKeyMutation['addApiKey']
export type AddedApiKey = Extract<AddResult, { __typename: 'AddApiKeyPayload' }>

/** A customer of the SaaS, as the client area acts on its behalf. */
export interface Customer {
  externalId: string
  token: string
  account(month?: string): Promise<NonNullable<AccountOverviewQuery['account']>>
  addApiKey(input?: AddApiKeyInput): Promise<AddedApiKey>
}

let customers = 0

/** Creates a customer with an account of its own; with limits, on a plan of its own. */
export async function createCustomer(
  app: Pick<TestApp, 'token' | 'query'>,
  limits?: { maxApiKeys?: number; monthlyCallQuota?: number | null },
): Promise<Customer> {
  const externalId = `customer-${++customers}`
  const token = await app.token({ account: externalId, scopes: customerScopes })
  if (limits) {
    const operator = await app.token({ scopes: ['admin'] })
    const { maxApiKeys = 10, monthlyCallQuota = null } = limits
    const plan = { slug: `plan-of-${externalId}`, name: 'Plan', maxApiKeys, monthlyCallQuota }
    await app.query(SavePlan, { as: operator, variables: { input: plan } })
    await app.query(SaveAccount, {
      as: operator,
      variables: { input: { externalId, name: externalId, plan: plan.slug } },
    })
  }
  return {
    externalId,
    token,
    async account(month) {
      return overviewOf(await app.query(AccountOverview, { as: token, variables: { month: month ?? null } }))
    },
    async addApiKey(input = {}) {
      const { data } = await app.query(AddApiKey, { as: token, variables: { input } })
      if (data.addApiKey.__typename !== 'AddApiKeyPayload') throw new Error(JSON.stringify(data.addApiKey))
      return data.addApiKey
    },
  }
}

function overviewOf({ data, errors }: Response<AccountOverviewQuery>) {
  if (!data?.account) throw new Error(`no account: ${JSON.stringify(errors)}`)
  return data.account
}

/** Creates a gateway of the SaaS, which meters single calls. */
export async function createGateway(app: TestApp) {
  const token = await app.token({ scopes: ['calls:meter'] })
  return {
    token,
    async meter(secret: string, apiCall = 'v3.ping') {
      const { data, errors } = await app.query(MeterApiCall, { as: token, variables: { secret, apiCall } })
      if (!data?.meterApiCall) throw new Error(JSON.stringify(errors))
      return data.meterApiCall
    },
  }
}
