import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jsonTypeOf } from '../../src/graphql/json-post.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { expectRefusal, post } from '../support/http.ts'

const typeOf = (method: string, headers: IncomingMessage['headers']) =>
  jsonTypeOf({ method, headers } as IncomingMessage)

describe('the choice between JSON and everything else, by method and headers', () => {
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
  ])('accept: %s', (accept, type) => {
    expect(typeOf('POST', { ...json, accept })).toBe(type)
  })

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"'])(
    'takes a body of %s',
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
  ])('leaves the rest to Yoga: %s %j', (method, headers) => {
    expect(typeOf(method, headers)).toBeUndefined()
  })
})

describe('a request without an operation', () => {
  let app: TestApp
  let token: string
  beforeAll(async () => {
    app = await startApp()
    token = (await createCustomer(app)).token
  })
  afterAll(() => app.stop())

  const bodies: [string, string, Record<string, string>][] = [
    ['{}', '{}', { 'content-type': 'application/json' }],
    ['{}, to be answered as GraphQL', '{}', { accept: 'application/graphql-response+json' }],
    ['{}, to be answered with events', '{}', { accept: 'text/event-stream' }],
    ['an empty query', '{"query":""}', {}],
    ['an empty form', '', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a form without one', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['nothing', '', {}],
  ]

  it.each(bodies)('is a 400 by POST, with or without a token: %s', async (_, body, headers) => {
    for (const authorization of [{}, { authorization: `Bearer ${token}` }]) {
      const answer = await post(app, body, { ...headers, ...authorization })
      expect(answer.status).toBe(400)
      expect(answer.text).toContain('BAD_USER_INPUT')
    }
  })

  it.each(['', '?', '?variables={}', '?operationName=A', '?query=', '?%71uery='])(
    'is a 401 by GET, and a 400 with a token: %s',
    async (search) => {
      for (const accept of ['*/*', 'application/json', 'text/event-stream']) {
        const get = (headers: Record<string, string>) =>
          fetch(`${app.url}/graphql${search}`, { headers: { accept, ...headers } })
        expect((await get({})).status).toBe(401)
        expect((await get({ authorization: `Bearer ${token}` })).status).toBe(400)
      }
    },
  )

  it('is not taken from a body that is not an object of known fields', async () => {
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
