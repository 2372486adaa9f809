import { appendFileSync } from 'node:fs'
import { inject, it } from 'vitest'
import { noteSecrets } from '../app.ts'

it('passes', () => {
  const secret = noteSecrets('a-secret-that-a-server-logs')
  appendFileSync(inject('logFile'), `{"msg":"${secret}"}\n`)
})
