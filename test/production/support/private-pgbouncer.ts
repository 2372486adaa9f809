import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { eventually, freePort, makeDirectory, Program, programs, removeDirectory } from './programs.ts'

/** A PgBouncer of a test's own, in front of a PostgreSQL server. */
export class PrivatePgBouncer {
  readonly #port: number
  readonly #directory: string
  readonly #program: Program

  private constructor(port: number, directory: string, program: Program) {
    this.#port = port
    this.#directory = directory
    this.#program = program
  }

  /** Starts one; `settings` are written as in pgbouncer.ini. Everything else is left at its default. */
  static async start(postgresPort: number, ...settings: string[]): Promise<PrivatePgBouncer> {
    const directory = await makeDirectory('pgbouncer')
    const port = await freePort()
    const [users, file] = [join(directory, 'users'), join(directory, 'pgbouncer.ini')]
    await writeFile(users, '"postgres" ""\n')
    const lines = [
      ...['[databases]', `* = host=127.0.0.1 port=${postgresPort}`],
      ...['[pgbouncer]', 'listen_addr = 127.0.0.1', `listen_port = ${port}`, 'unix_socket_dir ='],
      ...['auth_type = trust', `auth_file = ${users}`, ...settings],
    ]
    await writeFile(file, `${lines.join('\n')}\n`)
    const pgBouncer = new PrivatePgBouncer(port, directory, new Program(programs.pgbouncer ?? '', [file]))
    await eventually(() => pgBouncer.#accepts()).catch((error) => {
      throw new Error(`PgBouncer does not start: ${error}\n${pgBouncer.#program.output}`)
    })
    return pgBouncer
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.#port}/postgres`
  }

  async #accepts(): Promise<void> {
    const client = new pg.Client({ connectionString: this.url })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('select 1')
    } finally {
      await client.end()
    }
  }

  /** Stops it and deletes its files. */
  async remove(): Promise<void> {
    this.#program.signal('SIGTERM')
    await this.#program.exited
    await removeDirectory(this.#directory)
  }
}
