// The tutorial's operations of customers.
// For readers who have never seen Latchkey. Comment lines have at most 52 characters, the editor's width on a laptop.

export const listKeys = `# 1. Your API keys
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

export const addKey = `# 2. Add a key
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

export const setNote = `# 3. Set a key's note
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

export const configureAccess = `# 4. Restrict what a key can call
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

export const setLimits = `# 5. Limit a key
#
# A key can have a limit for each month and a rate:
# here, 3 calls a minute. Tab 8 reaches it. Set
# rateLimit to null to lift it.
#
# Other mutations turn a key off, or let it expire:
# setApiKeyEnabled, setApiKeyExpiry. Tab 4 can also
# bind it to networks and resources; look at
# ApiKeyAccessInput.

mutation Limits($input: SetApiKeyLimitsInput!) {
  setApiKeyLimits(input: $input) {
    __typename
    ... on SetApiKeyLimitsPayload {
      apiKey {
        note
        monthlyCallLimit
        rateLimit { calls perSeconds }
      }
    }
    ... on InvalidInput { issues { path message } }
    ... on NotFound { message }
  }
}
`

export const regenerateKey = `# 6. Re-generate a key
#
# The key gets a new secret and keeps its id, note,
# access and counts. With overlapSeconds, the old
# secret goes on working for a while, so that
# programs can change over. With 0 it stops working
# immediately; revokePreviousSecret ends it early.

mutation Regenerate($id: ID!, $overlapSeconds: Int) {
  regenerateApiKey(
    input: { id: $id, overlapSeconds: $overlapSeconds }
  ) {
    __typename
    ... on RegenerateApiKeyPayload {
      secret
      apiKey {
        note
        start
        regeneratedAt
        previousSecretExpiresAt
      }
    }
    ... on InvalidInput { issues { path message } }
    ... on NotFound { message }
  }
}
`

export const removeKey = `# 13. Remove a key
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
