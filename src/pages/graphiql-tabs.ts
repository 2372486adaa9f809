import {
  addKey,
  configureAccess,
  listKeys,
  regenerateKey,
  removeKey,
  setLimits,
  setNote,
} from './graphiql-customer.ts'
import {
  changePlan,
  describeKey,
  listAccounts,
  liveCounts,
  meterCall,
  reachLimit,
} from './graphiql-service.ts'

/** The role that a tab's operation is sent as. */
export type Role = 'customer' | 'gateway' | 'operator'

export interface Tab {
  as: Role
  query: string
  variables?: object
}

/** The keys that the tabs use: one that the gateway meters, and one to change. */
export interface TabKeys {
  meteredSecret: string
  changedId: string
  changedSecret: string
}

/**
 * The operations of the tutorial, in order. Each runs unedited. Operations that change a key use a different key from
 * the metered one, its first secret outlives its re-generation, and removal comes last, so that no tab breaks a later one.
 */
export function tutorialTabs({ meteredSecret, changedId, changedSecret }: TabKeys): Tab[] {
  return [
    { as: 'customer', query: listKeys },
    { as: 'customer', query: addKey, variables: { input: { note: 'My own key' } } },
    { as: 'customer', query: setNote, variables: { id: changedId, note: 'For the status page' } },
    {
      as: 'customer',
      query: configureAccess,
      variables: {
        id: changedId,
        access: { mode: 'RESTRICTED', apiCalls: ['v3.ping', 'v3.status-pages.list'] },
      },
    },
    {
      as: 'customer',
      query: setLimits,
      variables: {
        input: { id: changedId, monthlyCallLimit: 100, rateLimit: { calls: 3, perSeconds: 60 } },
      },
    },
    { as: 'customer', query: regenerateKey, variables: { id: changedId, overlapSeconds: 3_600 } },
    { as: 'gateway', query: meterCall, variables: { secret: meteredSecret, apiCall: 'v3.ping' } },
    { as: 'gateway', query: reachLimit, variables: { secret: changedSecret, apiCall: 'v3.ping' } },
    { as: 'gateway', query: describeKey, variables: { secret: changedSecret } },
    { as: 'customer', query: liveCounts },
    { as: 'operator', query: listAccounts },
    {
      as: 'operator',
      query: changePlan,
      variables: { input: { externalId: 'demo', name: 'Demo customer', plan: 'business' } },
    },
    { as: 'customer', query: removeKey, variables: { id: changedId } },
  ]
}
