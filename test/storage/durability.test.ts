import { Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { createLogger } from '../../src/log.ts'
import { readDurabilityRisk } from '../../src/storage/durability.ts'
import { connectTo, createStorage, type TestStorage } from '../support/app.ts'
import { TestClock } from '../support/clock.ts'

describe.runIf(inject('postgres'))('settings of the database that let commits get lost', () => {
  let storage: TestStorage
  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
  })
  afterAll(() => storage.drop())

  it.each([
    ['on', []],
    ['local', []],
    ['off', ['with synchronous_commit off, any crash of it loses the calls counted just before']],
  ])('are recognised: synchronous_commit = %s, without standbys', async (value, consequences) => {
    const pool = connectTo(storage, 1, `-c synchronous_commit=${value}`)
    const risk = await readDurabilityRisk(pool)
    await pool.end()
    expect(risk?.consequences ?? []).toEqual(consequences)
  })

  it('are logged at start, and so is a clock that differs', async () => {
    const lines: string[] = []
    const log = createLogger(
      'warn',
      new Writable({ write: (line, _, done) => done(void lines.push(`${line}`)) }),
    )
    const url = `${storage.environment.DATABASE_URL}?options=-c%20synchronous_commit%3Doff`
    const secrets = { AUTH_SECRET: 'a secret that only tests are signed with', KEY_ENCRYPTION_KEYS: '' }
    const config = readConfig(
      { ...secrets, PORT: '0', NODE_ENV: 'production', ...storage.environment, DATABASE_URL: url },
      () => ({}) as never,
    )
    const app = await createApp({ config, log, clock: new TestClock(new Date(Date.now() - 90_000)) })
    await app.stop()
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        synchronousCommit: 'off',
        msg: expect.stringMatching(
          /^the database may lose what it has committed: with synchronous_commit off, /,
        ),
      }),
      expect.objectContaining({
        serverAheadMs: expect.closeTo(-90_000, -4),
        msg: "the server's clock differs from the database's by more than a second",
      }),
    ])
  })
})
