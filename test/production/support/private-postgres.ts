import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import {
  eventually,
  freePort,
  makeDirectory,
  Program,
  programs,
  removeDirectory,
  unprivileged,
} from './programs.ts'

/** A PostgreSQL server of a test's own, which it may stop, kill and reconfigure. */
export class PrivatePostgres {
  readonly port: number
  readonly #directory: string
  readonly #settings: readonly string[]
  #program: Program | undefined

  private constructor(directory: string, port: number, settings: readonly string[]) {
    this.#directory = directory
    this.port = port
    this.#settings = settings
  }

  /** Creates a database cluster and starts it; `settings` are written as in postgresql.conf. */
  static async start(...settings: string[]): Promise<PrivatePostgres> {
    const directory = await makeDirectory('postgres')
    const args = ['-D', join(directory, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']
    await promisify(execFile)(programs.initdb ?? '', args, { ...unprivileged, cwd: directory })
    const postgres = new PrivatePostgres(directory, await freePort(), settings)
    await postgres.start()
    return postgres
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }

  /** What the server has logged since it was last started. */
  get log(): string {
    return this.#program?.output ?? ''
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<void> {
    // Tests kill the process, never the machine, so nothing has to reach the disks.
    const settings = [
      'listen_addresses=127.0.0.1',
      'unix_socket_directories=',
      'fsync=off',
      ...this.#settings,
    ]
    const program = new Program(programs.postgres ?? '', [
      ...['-D', join(this.#directory, 'data'), '-p', String(this.port)],
      ...settings.flatMap((setting) => ['-c', setting]),
    ])
    this.#program = program
    await this.accepts()
  }

  /** Resolves when it accepts connections. */
  async accepts(): Promise<void> {
    await eventually(() => this.query('select 1')).catch((error) => {
      throw new Error(`PostgreSQL does not start: ${error}\n${this.#program?.output}`)
    })
  }

  /** Stops it as an operator does: transactions are aborted and connections closed. */
  async stop(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    this.#program?.signal(signal)
    await this.#program?.exited
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** `kill -9` of the process behind a metering connection; PostgreSQL then ends all others and recovers. */
  async killBackend(): Promise<void> {
    const [backend] = await this.query<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = 'latchkey' and query like '%charged as%' limit 1`,
    )
    if (!backend) throw new Error('No connection has metered yet.')
    process.kill(backend.pid, 'SIGKILL')
  }

  /** Queries it over a connection of its own, which no fault affects. */
  async query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.url })
    client.on('error', () => {})
    try {
      await client.connect()
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

  /** Stops it and deletes its files. */
  async remove(): Promise<void> {
    await this.stop('SIGQUIT')
    await removeDirectory(this.#directory)
  }
}
