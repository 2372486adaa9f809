import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { SignJWT } from 'jose'
import { z } from 'zod'
import { type AuthConfig, ConfigError, type DevelopmentSecrets } from './config.ts'
import type { Scope } from './domain/principal.ts'
import type { Explorer } from './pages/graphiql.ts'
import { globalIdOf } from './schema/global-id.ts'
import type { Services } from './services.ts'

// What only development does: secrets made up for itself, tokens signed with them, and a demo account.

const secretsFile = 'development-secrets.json'

/**
 * The secrets kept in the data directory; made up, and readable only by their owner, when it has none yet.
 * @throws ConfigError where they cannot be read or kept
 */
export function developmentSecrets(dataDir: string): DevelopmentSecrets {
  const file = join(dataDir, secretsFile)
  try {
    return readSecrets(file) ?? makeUpSecrets(dataDir, file)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError([
      `DATA_DIR: The secrets of development cannot be kept there: ${(error as Error).message}`,
    ])
  }
}

const secretsRule = z.object({ authSecret: z.string(), encryptionKey: z.string() })

/** Undefined where there are none yet. */
function readSecrets(file: string): DevelopmentSecrets | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return secretsRule.parse(JSON.parse(text))
  } catch {
    throw new ConfigError([
      `DATA_DIR: ${file} holds no secrets of development. Remove it to have new ones made up.`,
    ])
  }
}

function makeUpSecrets(dataDir: string, file: string): DevelopmentSecrets {
  const secrets = {
    authSecret: randomBytes(32).toString('base64url'),
    encryptionKey: randomBytes(32).toString('base64'),
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const written = `${file}.${process.pid}`
  writeFileSync(written, JSON.stringify(secrets), { mode: 0o600 })
  try {
    // Whole or not at all, and only the first: of two processes that start at once both get the same secrets.
    linkSync(written, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return developmentSecrets(dataDir)
    throw error
  } finally {
    rmSync(written)
  }
  return secrets
}

export interface TokenClaims {
  subject: string
  scopes: readonly Scope[]
  /** The customer's external id. */
  account?: string | undefined
  /** For instance `12h`; 30 days when left out. */
  lifetime?: string | undefined
}

/** Signs a token with AUTH_SECRET, or in development with the secret made up in its place. */
export async function mintToken(
  { secret, issuer, audience, accountClaim }: AuthConfig,
  claims: TokenClaims,
): Promise<string> {
  if (!secret)
    throw new Error(
      'Tokens can only be minted with AUTH_SECRET: those of AUTH_JWKS_URL are signed elsewhere.',
    )
  const { subject, scopes, account, lifetime = '30d' } = claims
  const token = new SignJWT({
    scope: scopes.join(' '),
    ...(account === undefined ? {} : { [accountClaim]: account }),
  })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(lifetime)
  if (issuer) token.setIssuer(issuer)
  if (audience) token.setAudience(audience)
  return await token.sign(secret)
}

export const customerScopes: readonly Scope[] = ['keys:read', 'keys:write', 'keys:reveal']
export const demoAccount = 'demo'

/** A token of the demo account's customer; good for 30 days when no lifetime is given. */
export function demoCustomerToken(auth: AuthConfig, lifetime?: string): Promise<string> {
  return mintToken(auth, { subject: 'demo-customer', scopes: customerScopes, account: demoAccount, lifetime })
}

/** The tokens that development begins with. */
export async function demoTokens(auth: AuthConfig) {
  return {
    customer: await demoCustomerToken(auth),
    gateway: await mintToken(auth, { subject: 'demo-gateway', scopes: ['calls:meter'] }),
    operator: await mintToken(auth, { subject: 'demo-operator', scopes: ['admin'] }),
  }
}

const demoCalls = ['v3.ping', 'v3.uptime-monitors.list', 'v3.uptime-monitors.report']

/** Room for keys to add, and calls for some minutes of traffic. */
const demoPlan = 'professional'

/** A demo account with two keys, one of them restricted, where there is none yet. */
export async function seedDemoAccount({ accounts, keys, prisma }: Services): Promise<void> {
  if ((await accounts.find(demoAccount)) !== null) return
  // A catalogue of the operator's own need have neither this plan nor these API calls.
  const plans = await prisma.plan.findMany({ orderBy: { maxApiKeys: 'desc' } })
  const plan = plans.find(({ slug }) => slug === demoPlan) ?? plans[0]
  if (!plan || plan.maxApiKeys < 2) return
  const apiCalls = await prisma.apiCall.findMany({ where: { name: { in: demoCalls } } })
  const accountId = await accounts.add({ externalId: demoAccount, name: 'Demo customer', plan: plan.slug })
  // Another server that starts at the same time sees to it.
  if (accountId === null) return
  const first = await prisma.apiKey.findFirstOrThrow({ where: { accountId } })
  await keys.setNote({ accountId }, first.id, 'Backend')
  await keys.add(accountId, 'Status page, read only', {
    mode: 'RESTRICTED',
    apiCalls: apiCalls.map(({ name }) => name),
  })
}

/** What GraphiQL is filled in with: the demo account's keys, as they are now. */
export async function demoExplorer(
  { prisma, vault }: Services,
  tokens: Explorer['tokens'],
): Promise<Explorer> {
  const keys = await prisma.apiKey.findMany({
    where: { account: { externalId: demoAccount }, removedAt: null },
    orderBy: { id: 'asc' },
  })
  const metered = keys.find(({ accessMode }) => accessMode === 'FULL') ?? keys[0]
  const changed = keys.find((key) => key !== metered) ?? metered
  const secret = metered?.sealedSecret && (await vault.open(metered.sealedSecret, metered.id))
  return {
    tokens,
    meteredSecret: secret || 'the secret of a key',
    changedId: changed ? globalIdOf('ApiKey', changed.id) : 'the id of a key',
  }
}
