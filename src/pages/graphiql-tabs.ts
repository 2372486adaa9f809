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
}

/**
 * The operations of the tutorial, in order. Each runs unedited. Operations that change a key use a different key from
 * the metered one, and removal comes last, so that no tab breaks a later one.
 */
export function tutorialTabs({ meteredSecret, changedId }: TabKeys): Tab[] {
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
    { as: 'customer', query: regenerateKey, variables: { id: changedId } },
    { as: 'gateway', query: meterCall, variables: { secret: meteredSecret, apiCall: 'v3.ping' } },
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

// For readers who have never seen Latchkey. Comment lines have at most 52 characters, the editor's width on a laptop.

const listKeys = `# 1. Your API keys
#
# Press the play button (or Ctrl-Enter) to list the
# account's keys and how often each one has been
# used this month.
#
# The token in "Headers" below says who you are: in
# this tab, a customer, who can see and change only
# its own keys. Hover over a field to read about it,
# and press Ctrl-Space to see what else you can ask
# for.
#
# Then continue with the next tab.

query Keys {
  account {
    name
    plan { name maxApiKeys monthlyCallQuota }
    # All keys together, since the last reset.
    usage { calls quota remaining resetsAt }
    apiKeysRemaining
    apiKeys(first: 10) {
      nodes {
        note
        start
        # Null without the scope keys:reveal.
        secret
        access { mode apiCalls { name } }
        usage { calls }
        lastCallAt
        id
      }
    }
  }
}
`

const addKey = `# 2. Add a key
#
# Run this until the account has as many keys as its
# plan allows: you then get ApiKeyLimitReached. A
# refusal like this is data, not an error.

mutation AddKey($input: AddApiKeyInput!) {
  addApiKey(input: $input) {
    __typename
    ... on AddApiKeyPayload {
      secret
      apiKey { id note start access { mode } }
    }
    ... on ApiKeyLimitReached { message limit }
    ... on InvalidInput { issues { path message } }
    ... on NotFound { message }
  }
}
`

const setNote = `# 3. Set a key's note
#
# A note says what the key is for. Set it to null to
# clear it. The key's id is in "Variables" below.

mutation Note($id: ID!, $note: String) {
  setApiKeyNote(input: { id: $id, note: $note }) {
    __typename
    ... on SetApiKeyNotePayload {
      apiKey { id note start }
    }
    ... on InvalidInput { issues { path message } }
    ... on NotFound { message }
  }
}
`

const configureAccess = `# 4. Restrict what a key can call
#
# RESTRICTED allows only the API calls listed in
# "Variables". FULL allows every API call; omit
# apiCalls with it.
#
# The change applies to the very next call. To list
# all names: { apiCalls { name title category } }

mutation Access(
  $id: ID!
  $access: ApiKeyAccessInput!
) {
  configureApiKeyAccess(
    input: { id: $id, access: $access }
  ) {
    __typename
    ... on ConfigureApiKeyAccessPayload {
      apiKey {
        note
        access { mode apiCalls { name title } }
      }
    }
    ... on InvalidInput { issues { path message } }
    ... on NotFound { message }
  }
}
`

const regenerateKey = `# 5. Re-generate a key
#
# The key gets a new secret and keeps its id, note,
# access and counts. The old secret stops working
# immediately.

mutation Regenerate($id: ID!) {
  regenerateApiKey(input: { id: $id }) {
    __typename
    ... on RegenerateApiKeyPayload {
      secret
      apiKey { note start regeneratedAt }
    }
    ... on NotFound { message }
  }
}
`

const meterCall = `# 6. Meter a call
#
# On every request, your API gateway asks Latchkey
# whether the key may make this call. If "admitted"
# is true, the call has been counted. Run it again
# and watch the count grow.
#
# This tab uses a different token: the gateway's,
# which can meter calls and nothing else.
#
# Try the apiCall "v3.nonsense", or a wrong secret:
# "code" says why the call was denied. Denied calls
# are not counted.

mutation MeterCall(
  $secret: String!
  $apiCall: String!
) {
  meterApiCall(
    input: { secret: $secret, apiCall: $apiCall }
  ) {
    admitted
    code
    message
    apiKeyCalls
    accountUsage { calls quota remaining }
  }
}
`

const liveCounts = `# 7. Watch the counts live
#
# Press play and let it run. The first event is a
# snapshot of all keys. Later events contain the
# keys whose counts have changed.
#
# To make some calls, run "npm run traffic" in a
# terminal, or use tab 6 in a second window. If you
# leave this tab, the subscription ends.

subscription LiveCounts {
  liveUsage {
    snapshot
    month
    account { calls quota remaining }
    apiKeys {
      calls
      lastCallAt
      apiKey { note start }
    }
  }
}
`

const listAccounts = `# 8. For operators: list all accounts
#
# An operator's token (scope admin) gives access to
# every account. A new customer appears here as soon
# as Latchkey sees its first token.

query Accounts {
  accounts(first: 10) {
    totalCount
    nodes {
      externalId
      name
      plan { slug name }
      usage { calls quota remaining }
    }
  }
  plans { slug maxApiKeys monthlyCallQuota }
}
`

const changePlan = `# 9. For operators: change an account's plan
#
# The new quota and key limit apply immediately. To
# see a quota run out, change the plan to "free" and
# run "npm run traffic" for a minute.

mutation ChangePlan($input: SaveAccountInput!) {
  saveAccount(input: $input) {
    __typename
    ... on SaveAccountPayload {
      account {
        name
        plan { name maxApiKeys }
        apiKeysRemaining
        usage { calls quota remaining }
      }
    }
    ... on InvalidInput { issues { path message } }
  }
}
`

const removeKey = `# 10. Remove a key
#
# The key stops working immediately. Its calls still
# count towards the account's usage. Reload the page
# afterwards: the tabs then use the remaining keys.

mutation RemoveKey($id: ID!) {
  removeApiKey(input: { id: $id }) {
    __typename
    ... on RemoveApiKeyPayload {
      removedApiKeyId
      account {
        apiKeysRemaining
        usage { calls }
      }
    }
    ... on NotFound { message }
  }
}
`
