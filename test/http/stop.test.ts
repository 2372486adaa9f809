import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { beforeEach, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'

describe('a stopping server', () => {
  let app: TestApp
  let secret: string
  let token: string

  beforeEach(async () => {
    app = await startApp({ ownsStorage: true })
    secret = (await (await createCustomer(app, {})).addApiKey()).secret
    token = (await createGateway(app)).token
    return () => app.stop()
  })

  const meter = () =>
    JSON.stringify({
      query: 'mutation ($i: MeterApiCallInput!) { meterApiCall(input: $i) { code } }',
      variables: { i: { secret, apiCall: 'v3.ping' } },
    })

  /** A connection with a request whose body is still incomplete. */
  async function begunRequest(): Promise<{ socket: Socket; rest: string }> {
    const { hostname, port } = new URL(app.url)
    const socket = connect(Number(port), hostname).setEncoding('utf8')
    const body = meter()
    const headers = `Host: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json`
    const head = `POST /graphql HTTP/1.1\r\n${headers}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`
    socket.write(head + body.slice(0, 10))
    // `100 Continue` shows that the server has accepted the request.
    await once(socket, 'data')
    return { socket, rest: body.slice(10) }
  }

  it('answers the requests in flight, then closes their connections', async () => {
    const begun = await Promise.all(Array.from({ length: 5 }, begunRequest))
    const stopped = app.stop()
    for (const { socket, rest } of begun) socket.write(rest)
    const answers = await Promise.all(begun.map(({ socket }) => socket.toArray()))
    for (const answer of answers)
      expect(answer.join('')).toContain('{"data":{"meterApiCall":{"code":"ADMITTED"}}}')
    await stopped
  })

  it('closes idle connections without waiting for the requests in flight', async () => {
    const agent = new Agent({ keepAlive: true })
    const [response] = await once(httpRequest(`${app.url}/health`, { agent }).end(), 'response')
    const asked: Socket = response.socket
    await response.resume().toArray()
    const { hostname, port } = new URL(app.url)
    const silent = connect(Number(port), hostname)
    await once(silent, 'connect')
    const { socket, rest } = await begunRequest()
    const closed = [asked, silent].map((idle) => once(idle, 'close'))
    const stopped = app.stop()
    await Promise.all(closed)
    socket.write(rest)
    expect((await socket.toArray()).join('')).toContain('ADMITTED')
    await stopped
    agent.destroy()
  })

  it('refuses new connections, and may be stopped more than once', async () => {
    await Promise.all([app.stop(), app.stop()])
    await app.stop()
    await expect(fetch(`${app.url}/health`)).rejects.toThrow()
  })
})
