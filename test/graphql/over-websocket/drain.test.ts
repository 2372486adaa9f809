import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStorage, startApp, type TestStorage } from '../../support/app.ts'
import { createCustomer, createGateway } from '../../support/customer.ts'
import { MeterApiCall } from '../../support/operations.ts'
import { webSocketClient } from '../../support/websocket.ts'

const callers = 32

describe('a stopping server', () => {
  let storage: TestStorage
  beforeAll(async () => {
    storage = await createStorage('embedded')
  })
  afterAll(() => storage.drop())

  it('has counted exactly the calls that it answered with ADMITTED over WebSocket', async () => {
    const app = await startApp({ storage })
    const customer = await createCustomer(app)
    const gateway = await createGateway(app)
    const secret = (await customer.account()).apiKeys.nodes[0]?.secret ?? ''
    const codes = new Map<string, number>()
    const note = (code: string) => codes.set(code, (codes.get(code) ?? 0) + 1)
    const client = webSocketClient(app, gateway.token)
    const call = () =>
      new Promise<string>((resolve) => {
        let code = 'unanswered'
        client.subscribe<{ meterApiCall: { code: string } }>(
          { query: String(MeterApiCall), variables: { secret, apiCall: 'v3.ping' } },
          {
            next: ({ data, errors }) => {
              code = data?.meterApiCall.code ?? String(errors?.[0]?.extensions?.code)
            },
            error: () => resolve('unanswered'),
            complete: () => resolve(code),
          },
        )
      })
    const metering = Promise.all(
      Array.from({ length: callers }, async () => {
        for (let code = ''; code !== 'unanswered'; ) {
          code = await call()
          note(code)
        }
      }),
    )
    while ((codes.get('ADMITTED') ?? 0) < callers * 3) await new Promise(setImmediate)
    await Promise.all([app.stop(), metering])
    await client.dispose()
    const again = await startApp({ storage })
    const token = await again.token({ account: customer.externalId, scopes: ['keys:read'] })
    const { data } = await again.query<{ account: { usage: { calls: number } } }, object>(
      '{ account { usage { calls } } }',
      { as: token },
    )
    expect(data.account.usage.calls).toBe(codes.get('ADMITTED'))
    await again.stop()
  })
})
