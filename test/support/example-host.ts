import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface ExampleHost {
  /** Its origin, with the IP address. */
  origin: string
  /** The same pages at another origin, which no setting allows. */
  strangeOrigin: string
  stop(): Promise<void>
}

/** Runs examples/client-area as its README describes. */
export async function startExampleHost(environment: Record<string, string>): Promise<ExampleHost> {
  const child = spawn(process.execPath, ['examples/client-area/server.js'], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const origin = await Promise.race([originOf(child), failed(child)])
  return {
    origin,
    strangeOrigin: origin.replace('127.0.0.1', 'localhost'),
    async stop() {
      const exited = once(child, 'exit')
      child.kill()
      await exited
    },
  }
}

async function originOf({ stdout }: ChildProcess): Promise<string> {
  if (!stdout) throw new Error('The example says nothing.')
  for await (const line of createInterface({ input: stdout })) {
    const origin = /at (http:\/\/[\d.:]+)\//.exec(line)?.[1]
    if (origin) return origin
  }
  throw new Error('The example did not say where it is.')
}

async function failed(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit')
  throw new Error(`The example ended with ${code}.`)
}
