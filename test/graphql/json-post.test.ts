import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jsonTypeOf } from '../../src/graphql/json-post.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { expectRefusal, post } from '../support/http.ts'

const typeOf = (method: string, headers: IncomingMessage['headers']) =>
  jsonTypeOf({ method, headers } as IncomingMessage)

describe('the JSON path, chosen by method and headers,', () => {
  const json = { 'content-type': 'application/json' }

  it.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/json', 'application/json'],
    ['application/*', 'application/json'],
    ['application/json, */*;q=0.1', 'application/json'],
    ['application/graphql-response+json', 'application/graphql-response+json'],
    ['application/graphql-response+json,application/json;q=0.9', 'application/graphql-response+json'],
    [
      'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
      'application/graphql-response+json',
    ],
    ['text/event-stream', undefined],
    ['text/event-stream, application/json', undefined],
    ['application/json;q=0.5, text/event-stream', undefined],
    ['text/*', undefined],
    ['text/html', undefined],
    ['application/json;q=0', undefined],
    ['', 'application/json'],
  ])('has the right response type for Accept: %s', (accept, type) => {
    expect(typeOf('POST', { ...json, accept })).toBe(type)
  })

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"'])(
    'takes a body of type %s',
    (contentType) => {
      expect(typeOf('POST', { 'content-type': contentType })).toBe('application/json')
    },
  )

  it.each([
    ['GET', json],
    ['PUT', json],
    ['POST', {}],
    ['POST', { 'content-type': 'text/plain' }],
    ['POST', { 'content-type': 'application/json; charset=latin1' }],
    ['POST', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['POST', { ...json, 'content-encoding': 'gzip' }],
  ])('leaves everything else to Yoga: %s %j', (method, headers) => {
    expect(typeOf(method, headers)).toBeUndefined()
  })
})

describe('a request without a valid operation', () => {
  let app: TestApp
  let token: string
  beforeAll(async () => {
    app = await startApp()
    token = (await createCustomer(app)).token
  })
  afterAll(() => app.stop())

  const bodies: [string, string, Record<string, string>][] = [
    ['{}', '{}', { 'content-type': 'application/json' }],
    [
      '{} that accepts application/graphql-response+json',
      '{}',
      { accept: 'application/graphql-response+json' },
    ],
    ['{} that accepts text/event-stream', '{}', { accept: 'text/event-stream' }],
    ['an empty query', '{"query":""}', {}],
    ['an empty form', '', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a form without a query', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['an empty body', '', {}],
  ]

  it.each(bodies)('gets 400 by POST, with or without a token: %s', async (_, body, headers) => {
    for (const authorization of [{}, { authorization: `Bearer ${token}` }]) {
      const answer = await post(app, body, { ...headers, ...authorization })
      expect(answer.status).toBe(400)
      expect(answer.text).toContain('BAD_USER_INPUT')
    }
  })

  it.each(['', '?', '?variables={}', '?operationName=A', '?query=', '?%71uery='])(
    'gets 401 by GET without a token, and 400 with one: %s',
    async (search) => {
      for (const accept of ['*/*', 'application/json', 'text/event-stream']) {
        const get = (headers: Record<string, string>) =>
          fetch(`${app.url}/graphql${search}`, { headers: { accept, ...headers } })
        expect((await get({})).status).toBe(401)
        expect((await get({ authorization: `Bearer ${token}` })).status).toBe(400)
      }
    },
  )

  it('gets 400 if the body is not an object, or has an unknown parameter', async () => {
    for (const body of [
      '[]',
      '[{"query":"{ __typename }"}]',
      '"x"',
      'null',
      '{"query":"{ __typename }","q":1}',
    ]) {
      const answer = await post(app, body)
      expect(answer.status).toBe(400)
      expectRefusal(answer, 'BAD_USER_INPUT')
    }
  })
})
