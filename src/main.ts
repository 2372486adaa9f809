import process from 'node:process'

// Registered before the rest is loaded, which takes a while: until then, a signal would end the process with a failure.
const stopSignal = new Promise<NodeJS.Signals>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
})

const { run } = await import('./run.ts')
await run(stopSignal)
