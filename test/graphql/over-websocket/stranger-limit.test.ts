import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../../support/app.ts'
import { createCustomer } from '../../support/customer.ts'
import { closeOf, openRawConnection, rawWebSocket } from '../../support/websocket.ts'

const limitBytes = 16_384

let app: TestApp
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app.stop())

/** A masked frame, with a mask of zeros. */
function frame(payload: string, { opcode = 1, fin = true, length = payload.length } = {}): Buffer {
  const header = length < 126 ? Buffer.alloc(6) : Buffer.alloc(8)
  header[0] = (fin ? 0x80 : 0) | opcode
  header[1] = 0x80 | (length < 126 ? length : 126)
  if (length >= 126) header.writeUInt16BE(length, 2)
  return Buffer.concat([header, Buffer.from(payload)])
}

/** A TCP connection after the WebSocket handshake. */
async function openTcp(): Promise<Socket> {
  const { hostname, port, host } = new URL(app.url)
  const tcp = connect(Number(port), hostname)
  tcp.write(
    `GET /graphql HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
      'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
  )
  await once(tcp, 'data')
  return tcp
}

const init = frame(JSON.stringify({ type: 'connection_init' }))

describe('a client without a valid token', () => {
  it.each([
    ['an unfinished frame', [], frame('x'.repeat(50), { length: 60_000 }), 'x'.repeat(50)],
    [
      'an unfinished frame after connection_init',
      [init],
      frame('x'.repeat(50), { length: 60_000 }),
      'x'.repeat(50),
    ],
    [
      'fragments of an unfinished message, with pongs between',
      [],
      frame('x'.repeat(50), { fin: false }),
      Buffer.concat([frame('x'.repeat(50), { opcode: 0, fin: false }), frame('', { opcode: 10 })]),
    ],
  ])('is disconnected with 1009 when more than 16 KiB have arrived of %s', async (_, before, first, more) => {
    const tcp = await openTcp()
    for (const message of before) tcp.write(message)
    tcp.write(first)
    for (let bytes = 0; bytes <= limitBytes; bytes += 50) tcp.write(more)
    const received = Buffer.concat(await tcp.toArray())
    // A close frame with the code 1009.
    expect(received.includes(Buffer.from([0x88, 2, 0x03, 0xf1]))).toBe(true)
  })

  it('may send any number of small messages and pings, and a message of 16 KiB', async () => {
    const connection = await (await openRawConnection(app)).init()
    for (let i = 0; i < 1_000; i++) {
      connection.socket.ping('x'.repeat(100))
      connection.send({ type: 'ping', payload: { x: 'x'.repeat(200) } })
      expect(await connection.next()).toMatchObject({ type: 'pong' })
    }
    const message = (padding: string) => JSON.stringify({ type: 'ping', payload: { padding } })
    connection.send(message('x'.repeat(limitBytes - message('').length)))
    expect(await connection.next()).toMatchObject({ type: 'pong' })
    connection.socket.terminate()
  })

  it('is not read from after that', async () => {
    const tcp = await openTcp()
    const chunks: Buffer[] = []
    tcp.on('data', (chunk) => chunks.push(chunk)).on('error', () => {})
    // More than both operating systems buffer.
    const message = Buffer.alloc(24 * 1_048_576, 'x')
    let isSent = false
    // A text of 1 MiB, with its length in eight bytes.
    tcp.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]))
    tcp.write(message, (error) => {
      isSent = !error
    })
    await new Promise((resolve) => tcp.once('close', resolve))
    expect(Buffer.concat(chunks).includes(Buffer.from([0x88, 2, 0x03, 0xf1]))).toBe(true)
    expect(isSent).toBe(false)
  })
})

describe('a client with a valid token', () => {
  it('may send messages of up to MAX_FRAME_BYTES', async () => {
    const { token } = await createCustomer(app, {})
    const connection = await (await openRawConnection(app)).init(token)
    connection.send({ type: 'ping', payload: { padding: 'x'.repeat(1_000_000) } })
    expect(await connection.next()).toMatchObject({ type: 'pong' })
    connection.socket.terminate()
  })
})

describe('many pings at once', () => {
  it('are answered by a pong to the last one of each turn, and to the very last', async () => {
    const tcp = await openTcp()
    const pongs: string[] = []
    const pings = 5_000
    tcp.on('data', (chunk: Buffer) => {
      for (const [, number] of chunk.toString('latin1').matchAll(/ping(\d\d)/g)) pongs.push(number ?? '')
    })
    const numbers = Array.from({ length: pings }, (_, i) => String(i % 100).padStart(2, '0'))
    numbers[pings - 1] = '99'
    tcp.write(Buffer.concat(numbers.map((number) => frame(`ping${number}`, { opcode: 9 }))))
    tcp.write(frame('ping77', { opcode: 9 }))
    await expect.poll(() => pongs.at(-1)).toBe('77')
    expect(pongs.length).toBeLessThan(pings / 10)
    tcp.destroy()
  })
})

describe('the payload of connection_init', () => {
  it('is not kept once the token was verified', async () => {
    const { token } = await createCustomer(app, {})
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc')
    const payloads: WeakRef<object>[] = []
    const parse = JSON.parse
    JSON.parse = (text, reviver) => {
      const value = parse(text, reviver)
      if (value?.type === 'connection_init') payloads.push(new WeakRef(value.payload))
      return value
    }
    try {
      const connection = await (await openRawConnection(app)).init(token)
      expect(payloads).toHaveLength(1)
      await expect
        .poll(() => {
          collectGarbage()
          return payloads[0]?.deref()
        })
        .toBeUndefined()
      connection.socket.terminate()
    } finally {
      JSON.parse = parse
    }
  })

  it('closes the connection with 1009 where it has more than 16 KiB', async () => {
    const socket = await rawWebSocket(app)
    const closed = closeOf(socket)
    socket.send(JSON.stringify({ type: 'connection_init', payload: { padding: 'x'.repeat(limitBytes) } }))
    expect((await closed).code).toBe(1009)
  })
})
