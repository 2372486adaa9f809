// @ts-check
// Runs PGlite (PostgreSQL as WebAssembly) off the main thread, behind a Unix socket that speaks PostgreSQL's
// protocol. Plain JavaScript, because Node.js itself loads workers, also in tests.
import { chmod, rename, rm, stat } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

/** @type {{ dataDir: string, socketPath: string }} */
const { dataDir, socketPath } = workerData

// An interrupted first start would leave half a database, which could never be opened. It is created under another
// name and renamed when it is complete.
const unfinished = `${dataDir}.unfinished`
if (!(await stat(dataDir).catch(() => undefined))) {
  await rm(unfinished, { recursive: true, force: true })
  await (await PGlite.create(unfinished)).close()
  await rename(unfinished, dataDir)
}
// PGlite creates its files readable to everyone.
await chmod(dataDir, 0o700)

const database = await PGlite.create(dataDir)
// One is in use at a time, but a new connection may arrive before the old one has closed.
const server = new PGLiteSocketServer({ db: database, path: socketPath, maxConnections: 2 })
await server.start()

parentPort?.once('message', async () => {
  await server.stop()
  await database.close()
  parentPort?.close()
})
parentPort?.postMessage('ready')
