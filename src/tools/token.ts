import process from 'node:process'
import { parseArgs } from 'node:util'
import { ConfigError } from '../config.ts'
import {
  customerScopes,
  demoAccount,
  mintToken,
  NoSigningSecretError,
  readSigningConfig,
} from '../development.ts'
import { type Scope, scopes } from '../domain/principal.ts'

const usage = `Prints a token signed with AUTH_SECRET or, in development, with the secret in DATA_DIR.

  npm run token -- [--account <external id>] [--scope "<scopes>"] [--subject <who>] [--lifetime <12h>]

  --account   the account's external id; "${demoAccount}" if neither --account nor --scope is given
  --scope     any of ${scopes.join(', ')}; default "${customerScopes.join(' ')}"
  --subject   who acts; default "developer"
  --lifetime  default 30d

AUTH_SECRET or DATA_DIR must be the one the server runs with: a server refuses tokens that are signed with
another server's secret, and this command cannot tell.
`

try {
  const { values } = parseArgs({
    options: {
      account: { type: 'string' },
      scope: { type: 'string' },
      subject: { type: 'string', default: 'developer' },
      lifetime: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    process.exit(0)
  }
  const asked = values.scope?.split(/[\s,]+/).filter(Boolean) ?? customerScopes
  const unknown = asked.filter((scope) => !scopes.includes(scope as Scope))
  if (unknown.length > 0) throw new Error(`Unknown scope: ${unknown.join(', ')}.`)
  const { auth } = readSigningConfig()
  const account = values.account ?? (values.scope === undefined ? demoAccount : undefined)
  const { subject, lifetime } = values
  process.stdout.write(`${await mintToken(auth, { subject, scopes: asked as Scope[], account, lifetime })}\n`)
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  const isConfiguration = error instanceof ConfigError || error instanceof NoSigningSecretError
  process.stderr.write(isConfiguration ? `${message}\n` : `${message}\n\n${usage}`)
  process.exit(isConfiguration ? 78 : 2)
}
