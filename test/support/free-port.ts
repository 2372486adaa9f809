import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port that is free, below those that systems give to outgoing connections: so one that a server leaves for a
 * moment is still free when it comes back.
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
