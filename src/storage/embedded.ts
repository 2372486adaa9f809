import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { tryLock } from 'fs-native-extensions'
import { embeddedWorker } from '../paths.ts'

/** Another process is using the data directory. */
export class DataDirInUseError extends Error {
  constructor(dataDir: string) {
    super(
      `The data directory ${dataDir} is in use by another Latchkey process. Stop that one, or give this one ` +
        'another DATA_DIR.',
    )
  }
}

export interface EmbeddedDatabase {
  /** The socket's directory, and the port in its name, as pg expects them. */
  host: string
  port: number
  /** The database accepts only connections with this application name. It is a secret of this process. */
  applicationName: string
  stop(): Promise<void>
}

const port = 5432
const socketName = `.s.PGSQL.${port}`
/** The limit for a Unix socket's path is 103 bytes on macOS and 107 on Linux. */
const longestSocketPath = 103

/**
 * Starts PostgreSQL as WebAssembly in a worker thread, with its files in `<dataDir>/database`.
 *
 * Two processes on one directory would corrupt it, so the directory is locked. The operating system releases the lock
 * when the process ends, however it ends, so no stale lock remains.
 * @throws DataDirInUseError
 */
export async function startEmbeddedDatabase(dataDir: string): Promise<EmbeddedDatabase> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const lock = await open(join(dataDir, 'lock'), 'a+', 0o600)
  if (!tryLock(lock.fd)) {
    await lock.close()
    throw new DataDirInUseError(dataDir)
  }
  const host = await socketDirectory(resolve(dataDir))
  const socketPath = join(host, socketName)
  await rm(socketPath, { force: true })
  const applicationName = `latchkey ${randomBytes(16).toString('hex')}`
  const worker = new Worker(embeddedWorker, {
    workerData: { dataDir: join(dataDir, 'database'), socketPath, applicationName },
  })
  try {
    // Rejects if the worker fails before it is ready.
    await once(worker, 'message')
  } catch (error) {
    await lock.close()
    throw error
  }
  let stopped: Promise<void> | undefined
  return {
    host,
    port,
    applicationName,
    stop() {
      stopped ??= (async () => {
        worker.postMessage('stop')
        await once(worker, 'exit')
        await rm(socketPath, { force: true })
        await lock.close()
      })()
      return stopped
    },
  }
}

/** The data directory, or a private one with a short name if the socket's path would be too long. */
async function socketDirectory(dataDir: string): Promise<string> {
  if (Buffer.byteLength(join(dataDir, socketName)) <= longestSocketPath) return dataDir
  const directory = join(tmpdir(), `latchkey-${process.pid}`)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}
