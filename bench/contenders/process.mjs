import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/**
 * Starts a contender's server in a process of its own. It tells where it listens, does what it is asked by
 * message, and ends when told.
 */
export async function startContender(file, settings) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(settings)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production' },
    execArgv: ['--expose-gc'],
  })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${file} ended with ${code}.`)
  })
  failed.catch(() => {})
  const [ready] = await Promise.race([once(child, 'message'), failed])
  return {
    ...ready,
    pid: child.pid,
    async ask(question) {
      child.send(question)
      const [answer] = await Promise.race([once(child, 'message'), failed])
      return answer
    },
    async stop() {
      child.kill('SIGKILL')
      await failed.catch(() => {})
    },
  }
}

/** The contender's side: says that it is ready, and answers questions. */
export function serve(ready, answer) {
  process.on('message', async (question) => process.send(await answer(question)))
  process.send(ready)
}

/** What a contender was started with. */
export const settings = () => JSON.parse(process.argv[2])
