import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** The built server. */
export const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface ServerProcess {
  pid: number | undefined
  url: string
  /** Everything printed so far. */
  output(): string
  kill(signal: NodeJS.Signals): void
  /** The exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>
}

/** Runs the built server as a process of its own, and resolves when it listens. */
export async function startServerProcess(environment: Record<string, string>): Promise<ServerProcess> {
  // V8 would compile PGlite a second time for speed, which takes longer than a test.
  const child = spawn(process.execPath, ['--liftoff-only', mainFile], {
    env: { PATH: process.env.PATH, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const exited = exitOf(child)
  const url = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      const found = /running at (\S+)/.exec(line)?.[1] ?? /"url":"([^"]+)"/.exec(line)?.[1]
      if (found) resolve(found)
    })
    createInterface({ input: child.stderr }).on('line', (line) => lines.push(line))
  })
  const output = () => lines.join('\n')
  const ended = exited.then((code) => {
    throw new Error(`The server ended with ${code} before it listened:\n${output()}`)
  })
  ended.catch(() => {})
  return {
    pid: child.pid,
    url: await Promise.race([url, ended]),
    output,
    kill: (signal) => child.kill(signal),
    exited,
  }
}

/** Runs the built server where it must not start. Resolves to its output and its exit code. */
export async function refusalToStart(environment: Record<string, string>) {
  const server = startServerProcess(environment)
  const error = await server.then(
    ({ kill }) => {
      kill('SIGKILL')
      return new Error('The server did start.')
    },
    (cause: Error) => cause,
  )
  const [, exitCode, output] =
    /^The server ended with (\S+) before it listened:\n(.*)$/s.exec(error.message) ?? []
  if (exitCode === undefined) throw error
  return { exitCode: Number(exitCode), output: output ?? '' }
}

async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = await once(child, 'exit')
  return code ?? signal
}
