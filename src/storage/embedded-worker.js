// @ts-check
// Runs PGlite (PostgreSQL as WebAssembly) off the main thread, behind a Unix socket that speaks PostgreSQL's
// protocol. Plain JavaScript, because Node.js itself loads workers, also in tests.
import { once } from 'node:events'
import { chmod, rename, rm, stat } from 'node:fs/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

/** @type {{ dataDir: string, socketPath: string, task?: 'create' }} */
const { dataDir, socketPath, task } = workerData

// PostgreSQL touches all of its buffers when it starts, and its default is 128 MB. Pages that do not fit are still in
// the operating system's cache. The WAL's buffers would shrink with them, and every call writes to the WAL.
const settings = ['shared_buffers=32MB', 'wal_buffers=4MB']
const options = { startParams: [...PGlite.defaultStartParams, ...settings.flatMap((each) => ['-c', each])] }

if (task === 'create') await create()
else await serve()

/**
 * An interrupted first start would leave half a database, which could never be opened. It is created under another
 * name and renamed when it is complete.
 */
async function create() {
  const unfinished = `${dataDir}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await (await PGlite.create(unfinished, options)).close()
  await rename(unfinished, dataDir)
}

async function serve() {
  if (!(await stat(dataDir).catch(() => undefined))) {
    // In a thread of its own, because much of the memory that it takes is only given back when the thread ends.
    const creation = new Worker(new URL(import.meta.url), { workerData: { dataDir, task: 'create' } })
    await once(creation, 'exit')
  }
  // PGlite creates its files readable to everyone.
  await chmod(dataDir, 0o700)

  const database = await PGlite.create(dataDir, options)
  // One is in use at a time, but a new connection may arrive before the old one has closed.
  const server = new PGLiteSocketServer({ db: database, path: socketPath, maxConnections: 2 })
  await server.start()

  parentPort?.once('message', async () => {
    await server.stop()
    await database.close()
    parentPort?.close()
  })
  parentPort?.postMessage('ready')
}
