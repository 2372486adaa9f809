import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { databaseOf } from './database.mjs'

/**
 * Starts a contender's server in a process of its own. The process sends its URL when it is ready, and answers
 * questions sent to it as messages.
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
    cpu: { pid: child.pid, database: databaseOf(settings.url ?? settings.environment?.DATABASE_URL) },
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

/** The contender's side: reports that it is ready, and answers questions until the bench ends. */
export function serve(ready, answer) {
  process.on('message', async (question) => process.send(await answer(question)))
  process.on('disconnect', () => process.exit())
  process.send(ready)
}

/** The settings that the bench started this contender with. */
export const settings = () => JSON.parse(process.argv[2])
