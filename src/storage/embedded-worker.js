// @ts-check
// Runs PGlite (PostgreSQL as WebAssembly) off the main thread, behind a Unix socket that speaks PostgreSQL's
// protocol. Plain JavaScript, because a worker is loaded by Node.js itself, in tests as in the build.
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

/** @type {{ dataDir: string, socketPath: string }} */
const { dataDir, socketPath } = workerData

const database = await PGlite.create(dataDir)
// One is used at a time; but one that takes another's place comes before the other is quite gone.
const server = new PGLiteSocketServer({ db: database, path: socketPath, maxConnections: 2 })
await server.start()

parentPort?.once('message', async () => {
  await server.stop()
  await database.close()
  parentPort?.close()
})
parentPort?.postMessage('ready')
