import { connect } from 'node:net'

/** The PostgreSQL server for tests, on which each creates databases of its own and drops them. */
export const postgresUrl = process.env.TEST_DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres'

/** The Redis server for tests. */
export const redisUrl = process.env.TEST_REDIS_URL || 'redis://127.0.0.1:6379'

/** Whether something accepts connections at the address of a URL. */
export function isReachable(url: string, defaultPort: number): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || defaultPort), timeout: 1_000 })
    const end = (reachable: boolean) => {
      socket.destroy()
      resolve(reachable)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
    socket.once('timeout', () => end(false))
  })
}
