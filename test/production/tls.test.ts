import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { refusalToStart } from '../support/server-process.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'
import { Deployment } from './support/deployment.ts'
import { Gateway } from './support/gateway.ts'
import { PrivatePostgres } from './support/private-postgres.ts'
import { PrivateRedis } from './support/private-redis.ts'
import {
  canRunPostgres,
  canRunRedis,
  makeDirectory,
  programs,
  removeDirectory,
  unprivileged,
} from './support/programs.ts'

describe.runIf(canRunPostgres && canRunRedis && programs.openssl)('TLS', () => {
  let directory: string
  let certificate: string
  let postgres: PrivatePostgres
  let redis: PrivateRedis

  beforeAll(async () => {
    directory = await makeDirectory('tls')
    certificate = join(directory, 'certificate.pem')
    const key = join(directory, 'key.pem')
    const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost
      -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${certificate}`
    await promisify(execFile)(programs.openssl ?? '', args.split(/\s+/), unprivileged)
    await chmod(key, 0o600)
    postgres = await PrivatePostgres.start('ssl=on', `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`)
    redis = await PrivateRedis.startWithTls(certificate, key)
  })
  afterAll(async () => {
    await redis.stop('SIGKILL')
    await postgres.remove()
    await removeDirectory(directory)
  })

  it('is used to PostgreSQL and Redis when their URLs ask for it', async () => {
    const deployment = await Deployment.start({
      servers: 2,
      databaseUrl: `${postgres.url}?sslmode=verify-full&sslrootcert=${certificate}`,
      redisUrl: `rediss://127.0.0.1:${redis.port}`,
      environment: { NODE_EXTRA_CA_CERTS: certificate },
    })
    const { token, keys } = await deployment.customer({ keys: 1 })
    const [{ id, secret }] = keys as [{ id: string; secret: string }]
    const watcher = new LiveUsageWatcher(deployment.app(1), token)
    await watcher.until(({ events }) => events.length === 1)
    const { url } = deployment.app(0)
    const gateway = new Gateway(() => url, await deployment.gatewayToken())
    expect((await gateway.call(secret)).code).toBe('ADMITTED')
    await watcher.until(({ counts }) => counts.get(id) === 1, 2_000)
    const connections = await postgres.query<{ ssl: boolean }>(
      "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'latchkey'",
    )
    expect(connections.length).toBeGreaterThan(0)
    expect(connections.filter(({ ssl }) => !ssl)).toEqual([])
    await watcher.close()
    await gateway.close()
    await deployment.stop()
  })

  it('with an untrusted certificate ends the start with exit code 1 and one sentence', async () => {
    const { exitCode, output } = await refusalToStart({
      NODE_ENV: 'production',
      AUTH_SECRET: 'a secret of production that has enough bytes',
      DATABASE_URL: `${postgres.url}?sslmode=verify-full`,
    })
    expect([exitCode, output]).toEqual([
      1,
      'The database in DATABASE_URL cannot be reached: self-signed certificate',
    ])
  })
})
