import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixedLimits } from '../src/limits.ts'
import { LogOutput } from '../src/log-output.ts'
import { createStorage, quickestDatabase } from './support/app.ts'
import { freePort } from './support/free-port.ts'
import { mainFile } from './support/server-process.ts'

/** For conditions that become true in a moment, or later on a slow machine. */
const patiently = { timeout: 10_000, interval: 20 }
const flushed = (output: LogOutput) => new Promise<void>((resolve) => output.flush(resolve))

describe('the output of the log', () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'latchkey-log-'))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  it('writes every line once, in order', async () => {
    const path = join(directory, 'lines')
    const fd = openSync(path, 'w')
    const output = new LogOutput(fd)
    const lines = Array.from({ length: 10_000 }, (_, i) => `{"line":${i}}\n`)
    for (const [i, line] of lines.entries()) {
      output.write(line)
      if (i % 1_000 === 0) await flushed(output)
    }
    await flushed(output)
    expect(readFileSync(path, 'utf8')).toBe(lines.join(''))
    closeSync(fd)
  })

  it('keeps a bounded number of lines while a pipe is not read, and then says how many it dropped', async () => {
    const path = join(directory, 'pipe')
    execFileSync('mkfifo', [path])
    // Read and write, so that opening does not wait for the other end; non-blocking, as standard output is.
    const fd = openSync(path, 0o2 | 0o4000)
    const output = new LogOutput(fd)
    const line = `{"line":"${'x'.repeat(1_000)}"}\n`
    const written = 10_000
    expect(written * line.length).toBeGreaterThan(2 * fixedLimits.logBufferBytes)
    for (let i = 0; i < written; i++) output.write(line)
    // It calls back although nothing can be written.
    await flushed(output)
    const reader = spawn('cat', [path])
    let text = ''
    reader.stdout.setEncoding('utf8').on('data', (data) => {
      text += data
    })
    await expect.poll(() => text, patiently).toContain('"dropped":')
    reader.kill()
    await once(reader, 'close')
    const lines = text
      .trimEnd()
      .split('\n')
      .map((each) => JSON.parse(each))
    const { dropped } = lines.find((each) => 'dropped' in each)
    const kept = lines.length - 1
    expect(kept + dropped).toBe(written)
    // The pipe itself holds 64 KiB.
    expect(kept * line.length).toBeLessThanOrEqual(fixedLimits.logBufferBytes + 65_536)
    closeSync(fd)
  })
})

describe('a server that logs', () => {
  const environment = { PATH: process.env.PATH, NODE_ENV: 'production', LOG_LEVEL: 'info' }

  it.each(['/dev/full', 'a pipe that nobody reads'])(
    'answers, and ends with code 0 on SIGTERM, whatever happens to %s',
    async (target) => {
      const storage = await createStorage(quickestDatabase)
      const settings = {
        ...environment,
        ...storage.environment,
        AUTH_SECRET: 'x'.repeat(32),
        PORT: String(await freePort()),
        SHUTDOWN_DELAY_MS: '0',
        SHUTDOWN_TIMEOUT_MS: '10000',
      }
      const fd = target === '/dev/full' ? openSync(target, 'w') : undefined
      const server = spawn(process.execPath, ['--liftoff-only', mainFile], {
        env: settings,
        stdio: ['ignore', fd ?? 'pipe', 'ignore'],
      })
      const exited = once(server, 'exit')
      server.stdout?.pause()
      const url = `http://127.0.0.1:${settings.PORT}`
      const health = () =>
        fetch(`${url}/health`).then(
          ({ status }) => status,
          () => 0,
        )
      await expect.poll(health, { ...patiently, timeout: 20_000 }).toBe(200)
      // More lines than a pipe holds: 64 KiB.
      for (let i = 0; i < 1_000; i++) await fetch(`${url}/graphql`, { method: 'POST', body: '{}' })
      expect(await health()).toBe(200)
      server.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
      if (fd !== undefined) closeSync(fd)
      await storage.drop()
    },
  )
})
