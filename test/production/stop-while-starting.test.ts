import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { mainFile, type ServerProcess, startServerProcess } from '../support/server-process.ts'

describe('a process that gets SIGTERM before it listens', () => {
  let dataDir: string
  let restarted: ServerProcess | undefined
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'latchkey-stop-'))
  })
  afterEach(async () => {
    restarted?.kill('SIGKILL')
    await restarted?.exited
    await rm(dataDir, { recursive: true, force: true })
  })

  const soon = { timeout: 20_000, interval: 5 }
  // Until the program has installed its handler, the signal would end Node.js itself.
  const announcesHandler = `data:text/javascript,process.on('newListener', (event) =>
    event === 'SIGTERM' && process.nextTick(() => process.stderr.write('hears')))`

  it.each([
    ['as soon as it handles signals', async () => {}],
    ['while it creates its database', () => vi.waitFor(() => stat(join(dataDir, 'lock')), soon)],
  ])('exits with code 0 and can be started again: %s', { timeout: 90_000 }, async (_when, moment) => {
    const child = spawn(process.execPath, ['--liftoff-only', '--import', announcesHandler, mainFile], {
      env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: dataDir },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const exited = once(child, 'exit')
    await once(child.stderr, 'data')
    await moment()
    child.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    restarted = await startServerProcess({ DATA_DIR: dataDir })
    expect((await fetch(`${restarted.url}/ready`)).status).toBe(200)
  })
})
