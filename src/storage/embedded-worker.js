// @ts-check
// Runs PGlite (PostgreSQL as WebAssembly) off the main thread, behind a Unix socket that speaks PostgreSQL's
// protocol. Plain JavaScript, because Node.js itself loads workers, also in tests.
import { once } from 'node:events'
import { chmod, rename, rm, stat } from 'node:fs/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

/** @type {{ dataDir: string, socketPath: string, applicationName: string, task?: 'create' }} */
const { dataDir, socketPath, applicationName, task } = workerData

// PostgreSQL touches all of its buffers when it starts, and its default is 128 MB. Pages that do not fit are still in
// the operating system's cache. The WAL's buffers would shrink with them, and every call writes to the WAL.
const settings = ['shared_buffers=32MB', 'wal_buffers=4MB']
const options = { startParams: [...PGlite.defaultStartParams, ...settings.flatMap((each) => ['-c', each])] }

/**
 * A Unix socket's connection.
 * @typedef {import('node:stream').Duplex & { setTimeout(ms: number, callback?: () => void): void }} Socket
 */

/** How long a connection may take to say who it is. */
const firstMessageMs = 5_000

/** Sockets that are open at once, those of strangers included until they are refused. */
const openSockets = 1_000

/** An ErrorResponse of PostgreSQL's protocol. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const refusal = (() => {
  const message =
    'The embedded database serves its Latchkey process alone. Stop the process to copy DATA_DIR.'
  const fields = Buffer.from(`SFATAL\0VFATAL\0C28000\0M${message}\0\0`)
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
})()

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

/**
 * Lets nobody connect but the process that started this thread. There is one session for all connections: what another
 * client leaves there, an open transaction or a search path, would break every later statement.
 * @param {PGLiteSocketServer} server
 * @param {string} name the secret application name that is expected in a connection's first message
 */
function admitOnly(server, name) {
  /** @type {{ handleConnection(socket: Socket): Promise<void> }} */
  const accepting = /** @type {any} */ (server)
  const accept = accepting.handleConnection.bind(server)
  accepting.handleConnection = async (socket) => {
    socket.on('error', () => {})
    socket.setTimeout(firstMessageMs, () => socket.destroy())
    const [first] = await once(socket, 'data').catch(() => [])
    if (!first) return
    if (!first.includes(`application_name\0${name}\0`)) {
      socket.end(refusal, () => socket.destroy())
      return
    }
    socket.setTimeout(0)
    socket.pause()
    socket.unshift(first)
    await accept(socket)
    socket.resume()
  }
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
  admitOnly(server, applicationName)
  await server.start()
  // It would count connections that are being refused, and drop the next of this process.
  const { server: listener } = /** @type {{ server: { maxConnections: number } }} */ (
    /** @type {any} */ (server)
  )
  listener.maxConnections = openSockets

  parentPort?.once('message', async () => {
    await server.stop()
    await database.close()
    parentPort?.close()
  })
  parentPort?.postMessage('ready')
}
