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
  mutation RegenerateApiKey($id: ID!) {
    regenerateApiKey(input: { id: $id }) {
      __typename
      ... on RegenerateApiKeyPayload { secret apiKey { id start regeneratedAt } }
      ... on NotFound { message }
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
      ... on ConfigureApiKeyAccessPayload { apiKey { id access { mode apiCalls { name } } } }
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
      decisions { admitted code message apiKeyId apiKeyCalls accountUsage { calls remaining } }
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
      ... on SavePlanPayload { plan { id slug name maxApiKeys monthlyCallQuota } }
      ... on InvalidInput { message issues { path message } }
    }
  }
`)

export const SaveApiCall = graphql(`
  mutation SaveApiCall($input: SaveApiCallInput!) {
    saveApiCall(input: $input) {
      __typename
      ... on SaveApiCallPayload { apiCall { id name title category kind } }
      ... on InvalidInput { message issues { path message } }
    }
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
