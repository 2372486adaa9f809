import process from 'node:process'

// Before all else is loaded, which takes far longer than this: a signal that comes meanwhile would end the process as
// if it had failed.
const toldToStop = new Promise<NodeJS.Signals>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
})

const { run } = await import('./run.ts')
await run(toldToStop)
