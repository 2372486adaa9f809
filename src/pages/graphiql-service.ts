// The tutorial's operations that watch and meter calls, and those of operators.
// For readers who have never seen Latchkey. Comment lines have at most 52 characters, the editor's width on a laptop.

export const meterCall = `# 7. Meter a call
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

export const reachLimit = `# 8. Reach a limit
#
# This meters the key that tab 5 has limited to 3
# calls a minute. Run it four times: the fourth call
# is refused, and "retryAt" says when to try again.
# Then lift the limit in tab 5, and run it again.

mutation ReachLimit(
  $secret: String!
  $apiCall: String!
) {
  meterApiCall(
    input: { secret: $secret, apiCall: $apiCall }
  ) {
    code
    message
    retryAt
    rateLimits { scope remaining resetsAt }
    previousSecret
    apiKeyCalls
  }
}
`

export const describeKey = `# 9. Describe a key
#
# A gateway can ask what a key is and may do without
# counting a call. "code" is what a call would be
# told as far as the key and its account decide it.
# Turn the key off with setApiKeyEnabled, and run
# this again.

query Describe($secret: String!) {
  describeSecret(secret: $secret) {
    code
    previousSecret
    apiKey {
      note
      enabled
      expiresAt
      previousSecretExpiresAt
    }
    access {
      mode
      apiCalls { name }
      resources { type ids }
      allowedNetworks
    }
    account { externalId plan { slug } }
  }
}
`

export const liveCounts = `# 10. Watch the counts live
#
# Press play and let it run. The first event is a
# snapshot of all keys. Later events contain the
# keys whose counts have changed.
#
# To make some calls, run "npm run traffic" in a
# terminal, or use tab 7 in a second window. If you
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

export const listAccounts = `# 11. For operators: list all accounts
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

export const changePlan = `# 12. For operators: change an account's plan
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
