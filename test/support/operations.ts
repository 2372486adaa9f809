import { graphql } from './generated/gql.ts'

// The operations that several test files send; codegen types them from schema.graphql.

export const AccountOverview = graphql(`
  query AccountOverview($externalId: String, $month: Month) {
    account(externalId: $externalId) {
      id
      externalId
      name
      apiKeysRemaining
      plan { slug maxApiKeys monthlyCallQuota }
      usage(month: $month) { month calls quota remaining resetsAt }
      apiKeys(first: 100) {
        totalCount
        nodes {
          id
          start
          note
          secret
          lastCallAt
          createdAt
          regeneratedAt
          access { mode apiCalls { name } }
          usage(month: $month) { apiKeyId month calls lastCallAt }
        }
      }
    }
  }
`)

export const AddApiKey = graphql(`
  mutation AddApiKey($input: AddApiKeyInput!) {
    addApiKey(input: $input) {
      __typename
      ... on AddApiKeyPayload { secret apiKey { id note start access { mode apiCalls { name } } } }
      ... on ApiKeyLimitReached { message limit plan { slug } }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const RegenerateApiKey = graphql(`
  mutation RegenerateApiKey($id: ID!, $overlapSeconds: Int) {
    regenerateApiKey(input: { id: $id, overlapSeconds: $overlapSeconds }) {
      __typename
      ... on RegenerateApiKeyPayload { secret apiKey { id start regeneratedAt previousSecretExpiresAt } }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const RevokePreviousSecret = graphql(`
  mutation RevokePreviousSecret($id: ID!) {
    revokePreviousSecret(input: { id: $id }) {
      __typename
      ... on RevokePreviousSecretPayload { apiKey { id previousSecretExpiresAt } }
      ... on NotFound { message }
    }
  }
`)

/** What limits a key, besides its API calls. */
export const ApiKeyRestrictions = graphql(`
  query ApiKeyRestrictions($id: ID!) {
    apiKey(id: $id) {
      enabled
      expiresAt
      previousSecretExpiresAt
      monthlyCallLimit
      rateLimit { calls perSeconds }
      access { mode resources { type ids } allowedNetworks }
    }
  }
`)

export const SetApiKeyEnabled = graphql(`
  mutation SetApiKeyEnabled($id: ID!, $enabled: Boolean!) {
    setApiKeyEnabled(input: { id: $id, enabled: $enabled }) {
      __typename
      ... on SetApiKeyEnabledPayload { apiKey { id enabled } }
      ... on NotFound { message }
    }
  }
`)

export const SetApiKeyExpiry = graphql(`
  mutation SetApiKeyExpiry($id: ID!, $expiresAt: DateTime) {
    setApiKeyExpiry(input: { id: $id, expiresAt: $expiresAt }) {
      __typename
      ... on SetApiKeyExpiryPayload { apiKey { id expiresAt previousSecretExpiresAt } }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const SetApiKeyLimits = graphql(`
  mutation SetApiKeyLimits($input: SetApiKeyLimitsInput!) {
    setApiKeyLimits(input: $input) {
      __typename
      ... on SetApiKeyLimitsPayload { apiKey { id monthlyCallLimit rateLimit { calls perSeconds } } }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const DescribeSecret = graphql(`
  query DescribeSecret($secret: String!) {
    describeSecret(secret: $secret) {
      previousSecret
      code
      apiKey { id start note secret enabled expiresAt }
      access { mode apiCalls { name } resources { type ids } allowedNetworks }
      account { externalId name plan { slug } }
    }
  }
`)

export const SetApiKeyNote = graphql(`
  mutation SetApiKeyNote($id: ID!, $note: String) {
    setApiKeyNote(input: { id: $id, note: $note }) {
      __typename
      ... on SetApiKeyNotePayload { apiKey { id note } }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const ConfigureApiKeyAccess = graphql(`
  mutation ConfigureApiKeyAccess($id: ID!, $access: ApiKeyAccessInput!) {
    configureApiKeyAccess(input: { id: $id, access: $access }) {
      __typename
      ... on ConfigureApiKeyAccessPayload {
        apiKey { id access { mode apiCalls { name } resources { type ids } allowedNetworks } }
      }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const RemoveApiKey = graphql(`
  mutation RemoveApiKey($id: ID!) {
    removeApiKey(input: { id: $id }) {
      __typename
      ... on RemoveApiKeyPayload { removedApiKeyId account { externalId apiKeysRemaining } }
      ... on NotFound { message }
    }
  }
`)

export const MeterApiCall = graphql(`
  mutation MeterApiCall($secret: String!, $apiCall: String!) {
    meterApiCall(input: { secret: $secret, apiCall: $apiCall }) {
      admitted
      code
      message
      apiKeyId
      accountExternalId
      apiKeyCalls
      accountUsage { month calls quota remaining resetsAt }
    }
  }
`)

export const MeterApiCalls = graphql(`
  mutation MeterApiCalls($calls: [MeterApiCallInput!]!) {
    meterApiCalls(input: { calls: $calls }) {
      decisions { admitted code message apiKeyId previousSecret apiKeyCalls accountUsage { calls remaining } }
    }
  }
`)

export const SaveAccount = graphql(`
  mutation SaveAccount($input: SaveAccountInput!) {
    saveAccount(input: $input) {
      __typename
      ... on SaveAccountPayload { firstSecret account { id externalId name plan { slug } apiKeys { totalCount } } }
      ... on InvalidInput { message issues { path message } }
    }
  }
`)

export const SavePlan = graphql(`
  mutation SavePlan($input: SavePlanInput!) {
    savePlan(input: $input) {
      __typename
      ... on SavePlanPayload { plan { id slug name maxApiKeys monthlyCallQuota rateLimit { calls perSeconds } } }
      ... on InvalidInput { message issues { path message } }
    }
  }
`)

export const SaveApiCall = graphql(`
  mutation SaveApiCall($input: SaveApiCallInput!) {
    saveApiCall(input: $input) {
      __typename
      ... on SaveApiCallPayload {
        apiCall { id name title category kind method path alwaysAllowed rateLimit { calls perSeconds } }
      }
      ... on InvalidInput { message issues { path message } }
    }
  }
`)

export const RemovePlan = graphql(`
  mutation RemovePlan($slug: String!) {
    removePlan(input: { slug: $slug }) {
      __typename
      ... on RemovePlanPayload { removedPlanId }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const RemoveApiCall = graphql(`
  mutation RemoveApiCall($name: String!) {
    removeApiCall(input: { name: $name }) {
      __typename
      ... on RemoveApiCallPayload { removedApiCallId }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const SetAccountSuspended = graphql(`
  mutation SetAccountSuspended($externalId: String!, $suspended: Boolean!) {
    setAccountSuspended(input: { externalId: $externalId, suspended: $suspended }) {
      __typename
      ... on SetAccountSuspendedPayload { account { externalId suspended } }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const RemoveAccount = graphql(`
  mutation RemoveAccount($externalId: String!) {
    removeAccount(input: { externalId: $externalId }) {
      __typename
      ... on RemoveAccountPayload { removedAccountId }
      ... on InvalidInput { message issues { path message } }
      ... on NotFound { message }
    }
  }
`)

export const SaveAccounts = graphql(`
  mutation SaveAccounts($accounts: [SaveAccountInput!]!) {
    saveAccounts(input: { accounts: $accounts }) {
      __typename
      ... on SaveAccountsPayload {
        accounts { firstSecret account { externalId name plan { slug } apiKeys(first: 1) { totalCount } } }
      }
      ... on InvalidInput { message issues { path message } }
    }
  }
`)

export const ImportApiKeys = graphql(`
  mutation ImportApiKeys($apiKeys: [ImportedApiKeyInput!]!) {
    importApiKeys(input: { apiKeys: $apiKeys }) {
      __typename
      ... on ImportApiKeysPayload { imported apiKeys { start note } }
      ... on InvalidInput { message issues { path message } }
    }
  }
`)

export const ReportLeakedApiKeys = graphql(`
  mutation ReportLeakedApiKeys($secrets: [String!]!, $source: String!) {
    reportLeakedApiKeys(input: { secrets: $secrets, source: $source }) { apiKeys { id enabled } }
  }
`)

export const MeterApiCallOnce = graphql(`
  mutation MeterApiCallOnce($secret: String!, $requestId: String!) {
    meterApiCall(input: { secret: $secret, apiCall: "v3.ping", requestId: $requestId }) {
      admitted
      code
      replayed
      apiKeyCalls
    }
  }
`)

export const MeterApiCallFully = graphql(`
  mutation MeterApiCallFully($input: MeterApiCallInput!) {
    meterApiCall(input: $input) {
      code
      message
      retryAt
      replayed
      previousSecret
      rateLimits { scope calls perSeconds remaining resetsAt }
      allowedResources { type ids }
    }
  }
`)
