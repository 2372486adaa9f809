/** Who a tab's operation is sent as. */
export type Role = 'customer' | 'gateway' | 'operator'

export interface Tab {
  as: Role
  query: string
  variables?: object
}

/** What the tabs are about: a key that the gateway meters, and one to change. */
export interface TabKeys {
  meteredSecret: string
  changedId: string
}

/**
 * The worked operations, in the order of a tutorial. Each runs as it stands. What changes a key takes another
 * one than the one that is metered, so that no tab spoils a later one; removing comes last for that reason.
 */
export function tutorialTabs({ meteredSecret, changedId }: TabKeys): Tab[] {
  return [
    { as: 'customer', query: listKeys },
    { as: 'customer', query: addKey, variables: { input: { note: 'My first own key' } } },
    { as: 'customer', query: setNote, variables: { id: changedId, note: 'Status page of the shop' } },
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

// Written for a person who has never seen Latchkey. No line of a comment is wider than the editor is on a laptop.

const listKeys = `# 1. Your API keys
#
# Press the play button (or Ctrl-Enter): you get
# every key of the account, and how often it was
# used this month.
#
# "Headers" below hold a token. It says who you
# are: a customer, who may see and change its own
# keys. Point at a field to read about it, and
# press Ctrl-Space to see what else there is.
#
# Then go on with the next tab.

query Keys {
  account {
    name
    plan { name maxApiKeys monthlyCallQuota }
    # All keys together, until they start again.
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
# Run this until the keys of the plan are in use,
# and it answers with ApiKeyLimitReached. Refusals
# that are to be expected are data here, not errors.

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

const setNote = `# 3. Write a note on a key
#
# So that you still know what it is for. A note of
# null clears it. "Variables" hold the key's id.

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

const configureAccess = `# 4. Configure what a key may call
#
# RESTRICTED: just the API calls in "Variables".
# FULL: every one; leave apiCalls out then.
#
# It holds for the very next call. To see the names
# there are: { apiCalls { name title category } }

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
# A new secret in its place: id, note, access and
# count stay. The old secret stops at once.

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
# Your API gateway asks this on every call: may this
# key make it? When you read "admitted", the call
# has been counted. Run it again and see it grow.
#
# The token is another one in this tab: that of the
# gateway, which may meter calls and nothing else.
#
# Put in an apiCall of "v3.nonsense", or a wrong
# secret: "code" says why a call is denied. Denied
# calls are not counted.

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

const liveCounts = `# 7. Watch the counts, live
#
# Press play and let it run. First there is a
# snapshot of all keys, then every key whose count
# has changed.
#
# Make calls meanwhile: npm run traffic, in a
# terminal. Or use tab 6 in a second window, for a
# tab that you leave stops.

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

const listAccounts = `# 8. For operators: every account
#
# An operator's token (scope admin) reaches every
# account. New customers show up here as soon as
# their first token is seen.

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
# It holds at once, for the quota and for how many
# keys there may be. To see a quota used up, make it
# "free", and run  npm run traffic  for a minute.

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
# It stops at once. Its calls stay in the account's
# count. Then load the page again: the tabs turn to
# the keys that are left.

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
