// Loaded into a server before it starts (NODE_OPTIONS=--import): on SIGUSR2 it prints what the server still holds.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')

process.on('SIGUSR2', () => {
  collectGarbage()
  const resources = process.getActiveResourcesInfo()
  const sockets = resources.filter((name) => name === 'TCPSocketWrap').length
  const timers = resources.filter((name) => name === 'Timeout').length
  process.stdout.write(
    `holds ${JSON.stringify({ heapUsed: process.memoryUsage().heapUsed, sockets, timers })}\n`,
  )
})
