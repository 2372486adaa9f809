import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** Where Debian installs PostgreSQL's programs, which are not on the path. */
const postgresHome = '/usr/lib/postgresql'

/** Debian installs PgBouncer in /usr/sbin, which is on the path of root only. */
const onPath = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
const ofPostgres = existsSync(postgresHome)
  ? readdirSync(postgresHome)
      .toSorted((a, b) => Number(b) - Number(a))
      .map((version) => join(postgresHome, version, 'bin'))
  : []

function find(program: string): string | undefined {
  return [...onPath, ...ofPostgres]
    .map((directory) => join(directory, program))
    .find((file) => existsSync(file))
}

/** The programs that private servers run; undefined where one is not installed. */
export const programs = {
  initdb: find('initdb'),
  postgres: find('postgres'),
  redis: find('redis-server'),
  pgbouncer: find('pgbouncer'),
  openssl: find('openssl'),
}

/** PostgreSQL refuses to run as root, so root runs it as the user that its package creates. */
export const unprivileged: { uid?: number; gid?: number } =
  process.getuid?.() === 0 && programs.postgres ? idsOf('postgres') : {}

function idsOf(user: string): { uid: number; gid: number } {
  const id = (what: string) => Number(execFileSync('id', [what, user]))
  return { uid: id('-u'), gid: id('-g') }
}

/** Whether tests that start their own servers can run; if not, they are left out with a notice. */
export const canRunPostgres = available('PostgreSQL', programs.initdb && programs.postgres)
export const canRunRedis = available('Redis', programs.redis)
export const canRunPgBouncer = available('PgBouncer', canRunPostgres && programs.pgbouncer)

function available(name: string, program: string | false | undefined): boolean {
  if (program) return true
  if (process.env.REQUIRE_SERVICES)
    throw new Error(`The programs of ${name} are required, and not installed.`)
  process.stdout.write(`\n  ${name} is not installed: the tests that start their own are LEFT OUT.\n\n`)
  return false
}

/** Creates a directory that belongs to the user that the servers run as. */
export async function makeDirectory(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `latchkey-${name}-`))
  const { uid, gid } = unprivileged
  if (uid !== undefined && gid !== undefined) await chown(directory, uid, gid)
  return directory
}

export const removeDirectory = (directory: string) => rm(directory, { recursive: true, force: true })

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** A server's program, which is killed when this process ends. */
export class Program {
  readonly #child: ChildProcess
  readonly #output: string[] = []
  readonly exited: Promise<unknown>

  constructor(file: string, args: readonly string[]) {
    this.#child = spawn(file, args, { ...unprivileged, stdio: ['ignore', 'pipe', 'pipe'], cwd: tmpdir() })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (data) => this.#output.push(String(data)))
    const endWithUs = () => this.#child.kill('SIGKILL')
    process.once('exit', endWithUs)
    this.exited = once(this.#child, 'exit').then(() => process.off('exit', endWithUs))
  }

  get output(): string {
    return this.#output.join('')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

/** Retries until the attempt succeeds; after `withinMs` throws its latest error. */
export async function eventually<Result>(attempt: () => Promise<Result>, withinMs = 30_000): Promise<Result> {
  const giveUpAt = performance.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > giveUpAt) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}
