import process from 'node:process'
import { parseArgs } from 'node:util'
import { ConfigError, readProcessConfig } from '../config.ts'
import { customerScopes, demoAccount, developmentSecrets, mintToken } from '../development.ts'
import { type Scope, scopes } from '../domain/principal.ts'

const usage = `Mints a token with AUTH_SECRET, or with the secret that development made up in DATA_DIR.

  npm run token -- [--account <external id>] [--scope "<scopes>"] [--subject <who>] [--lifetime <12h>]

  --account   whose account; "${demoAccount}" when neither account nor scope is given
  --scope     any of ${scopes.join(', ')}; "${customerScopes.join(' ')}" when left out
  --subject   who acts; "developer" when left out
  --lifetime  30d when left out
`

try {
  const { values } = parseArgs({
    options: {
      account: { type: 'string' },
      scope: { type: 'string' },
      subject: { type: 'string', default: 'developer' },
      lifetime: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    process.exit(0)
  }
  const asked = values.scope?.split(/[\s,]+/).filter(Boolean) ?? customerScopes
  const unknown = asked.filter((scope) => !scopes.includes(scope as Scope))
  if (unknown.length > 0) throw new Error(`There is no scope ${unknown.join(', ')}.`)
  const { auth } = readProcessConfig(developmentSecrets)
  const account = values.account ?? (values.scope === undefined ? demoAccount : undefined)
  const { subject, lifetime } = values
  process.stdout.write(`${await mintToken(auth, { subject, scopes: asked as Scope[], account, lifetime })}\n`)
} catch (error) {
  const known = error instanceof ConfigError || error instanceof Error
  process.stderr.write(`${known ? error.message : String(error)}\n\n${usage}`)
  process.exit(error instanceof ConfigError ? 78 : 2)
}
