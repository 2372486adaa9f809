import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A free port below the range for outgoing connections, so that a server can close it and open it again without losing
 * it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const server = createServer().listen(port, '127.0.0.1')
    const listens = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ])
    if (!listens) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
