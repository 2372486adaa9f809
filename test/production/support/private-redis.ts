import { eventually, freePort, Program, programs } from './programs.ts'

/** A Redis server of a test's own. It persists nothing: a restart loses everything. */
export class PrivateRedis {
  readonly port: number
  readonly #args: readonly string[]
  #program: Program | undefined

  private constructor(port: number, args: readonly string[]) {
    this.port = port
    this.#args = args
  }

  static async start(): Promise<PrivateRedis> {
    return await PrivateRedis.#startWith(await freePort(), [])
  }

  /** Starts one that accepts TLS only, with the certificate and the key in these files. */
  static async startWithTls(certificate: string, key: string): Promise<PrivateRedis> {
    const port = await freePort()
    const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate]
    const ports = ['--port', '0', '--tls-port', String(port)]
    return await PrivateRedis.#startWith(port, [...files, ...ports, '--tls-auth-clients', 'no'])
  }

  static async #startWith(port: number, args: readonly string[]): Promise<PrivateRedis> {
    const redis = new PrivateRedis(port, args)
    await redis.start()
    return redis
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const port = ['--port', String(this.port)]
    const options = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...port, ...this.#args]
    const program = new Program(programs.redis ?? '', options)
    this.#program = program
    await eventually(async () => {
      if (!program.output.includes('Ready to accept connections')) throw new Error(program.output)
    })
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#program?.signal(signal)
    await this.#program?.exited
  }

  /** It still accepts connections and bytes, but answers nothing. */
  freeze(): void {
    this.#program?.signal('SIGSTOP')
  }

  thaw(): void {
    this.#program?.signal('SIGCONT')
  }
}
