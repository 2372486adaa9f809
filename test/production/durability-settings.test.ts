import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Deployment } from './support/deployment.ts'
import { PrivatePostgres } from './support/private-postgres.ts'
import { canRunPostgres } from './support/programs.ts'

describe.runIf(canRunPostgres)('a database that may lose what it has committed', () => {
  let postgres: PrivatePostgres
  beforeAll(async () => {
    postgres = await PrivatePostgres.start(
      'synchronous_standby_names=*',
      'synchronous_commit=local',
      'fsync=off',
    )
  })
  afterAll(() => postgres.remove())

  it('is reported in one line at start, with each setting and what it means', async () => {
    const deployment = await Deployment.start({ databaseUrl: postgres.url })
    await deployment.stop()
    const [server] = deployment.servers
    const lines = server?.output().match(/^.*the database may lose.*$/gm) ?? []
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      fsync: 'off',
      synchronousCommit: 'local',
      synchronousStandbyNames: '*',
      msg:
        'the database may lose what it has committed: with fsync off, a crash of its machine loses counted calls and ' +
        'may damage the database; with synchronous_commit local, a commit does not wait until a standby has stored ' +
        'it, so a failover may lose counted calls',
    })
  })
})
