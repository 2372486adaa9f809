import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { SignJWT } from 'jose'
import { z } from 'zod'
import {
  type AuthConfig,
  type Config,
  ConfigError,
  type DevelopmentSecrets,
  readProcessConfig,
} from './config.ts'
import type { Scope } from './domain/principal.ts'
import type { Explorer } from './pages/graphiql.ts'
import { globalIdOf } from './schema/global-id.ts'
import type { Services } from './services.ts'

// Development only: generated secrets, tokens signed with them, and a demo account.

const secretsFile = 'development-secrets.json'

/** There is no secret to sign tokens with; the message says what to do. */
export class NoSigningSecretError extends Error {}

/**
 * The secrets in the data directory. Generates them, readable only by their owner, if there are none yet.
 * @throws ConfigError if they cannot be read or stored
 */
export function developmentSecrets(dataDir: string): DevelopmentSecrets {
  return orConfigError(() => readSecrets(dataDir) ?? generateSecrets(dataDir))
}

/**
 * The settings for a tool that signs tokens for a running server. It reads the secrets in DATA_DIR but never
 * generates any: the server would refuse a token signed with a secret of the tool's own.
 * @throws ConfigError, NoSigningSecretError
 */
export function readSigningConfig(): Config {
  const none: DevelopmentSecrets = { authSecret: '', encryptionKey: '' }
  const config = readProcessConfig((dataDir) => orConfigError(() => readSecrets(dataDir) ?? none))
  if (config.auth.secret === undefined)
    throw new NoSigningSecretError(
      'AUTH_JWKS_URL is set and AUTH_SECRET is not, so there is no secret to sign tokens with. ' +
        'Get tokens from your issuer.',
    )
  if (config.auth.secret.length === 0)
    throw new NoSigningSecretError(
      `DATA_DIR (${config.dataDir}) holds no development secrets and AUTH_SECRET is not set, so there is no ` +
        'secret to sign tokens with. Start the server with this DATA_DIR first, or set DATA_DIR or AUTH_SECRET ' +
        'to the value that the server runs with.',
    )
  return config
}

function orConfigError<Result>(action: () => Result): Result {
  try {
    return action()
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError([
      `DATA_DIR: Cannot read or store the development secrets there: ${(error as Error).message}`,
    ])
  }
}

const secretsRule = z.object({ authSecret: z.string().min(1), encryptionKey: z.string().min(1) })

function readSecrets(dataDir: string): DevelopmentSecrets | undefined {
  const file = join(dataDir, secretsFile)
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
      `DATA_DIR: ${file} is damaged. Delete it, and the next start of the server generates new secrets.`,
    ])
  }
}

function generateSecrets(dataDir: string): DevelopmentSecrets {
  const file = join(dataDir, secretsFile)
  const secrets = {
    authSecret: randomBytes(32).toString('base64url'),
    encryptionKey: randomBytes(32).toString('base64'),
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const temporaryFile = `${file}.${process.pid}`
  writeFileSync(temporaryFile, JSON.stringify(secrets), { mode: 0o600 })
  try {
    // Atomic, and fails if the file exists: two processes that start at once end up with the same secrets.
    linkSync(temporaryFile, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return developmentSecrets(dataDir)
    throw error
  } finally {
    rmSync(temporaryFile)
  }
  return secrets
}

export interface TokenClaims {
  subject: string
  scopes: readonly Scope[]
  /** The account's external id. */
  account?: string | undefined
  /** For instance `12h`; 30 days by default. */
  lifetime?: string | undefined
}

/** Signs a token (HS256) with AUTH_SECRET or the generated development secret. */
export async function mintToken(
  { secret, issuer, audience, accountClaim }: Omit<AuthConfig, 'jwksUrl' | 'jwksMaxStaleMs'>,
  claims: TokenClaims,
): Promise<string> {
  if (!secret)
    throw new Error(
      'Tokens can only be signed with AUTH_SECRET; those for AUTH_JWKS_URL come from its issuer.',
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

/** A token for the demo account's customer, valid for 30 days by default. */
export function demoCustomerToken(auth: AuthConfig, lifetime?: string): Promise<string> {
  return mintToken(auth, { subject: 'demo-customer', scopes: customerScopes, account: demoAccount, lifetime })
}

/** The tokens printed when a development server starts. */
export async function demoTokens(auth: AuthConfig) {
  return {
    customer: await demoCustomerToken(auth),
    gateway: await mintToken(auth, { subject: 'demo-gateway', scopes: ['calls:meter'] }),
    operator: await mintToken(auth, { subject: 'demo-operator', scopes: ['admin'] }),
  }
}

const demoCalls = ['v3.ping', 'v3.uptime-monitors.list', 'v3.uptime-monitors.report']

/** Leaves room to add keys, and has quota for several minutes of traffic. */
const demoPlan = 'professional'

/** Creates the demo account with two keys, one of them restricted, unless it exists. */
export async function seedDemoAccount({ accounts, keys, prisma }: Services): Promise<void> {
  if ((await accounts.find(demoAccount)) !== null) return
  // A custom catalogue may lack this plan and these API calls.
  const plans = await prisma.plan.findMany({ orderBy: { maxApiKeys: 'desc' } })
  const plan = plans.find(({ slug }) => slug === demoPlan) ?? plans[0]
  if (!plan || plan.maxApiKeys < 2) return
  const apiCalls = await prisma.apiCall.findMany({ where: { name: { in: demoCalls } } })
  const accountId = await accounts.add({ externalId: demoAccount, name: 'Demo customer', plan: plan.slug })
  // Another server, starting at the same time, has created it.
  if (accountId === null) return
  const first = await prisma.apiKey.findFirstOrThrow({ where: { accountId } })
  await keys.setNote({ accountId }, first.id, 'Backend')
  const access = { mode: 'RESTRICTED', apiCalls: apiCalls.map(({ name }) => name) } as const
  await keys.add(accountId, 'Status page, read only', access, 'operator')
}

/** What the GraphiQL tabs are filled in with: tokens, and the demo account's current keys. */
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
  const secretOf = async (key: (typeof keys)[number] | undefined) =>
    key?.sealedSecret ? await vault.open(key.sealedSecret, key.id) : null
  return {
    tokens,
    meteredSecret: (await secretOf(metered)) ?? 'the secret of a key',
    changedId: changed ? globalIdOf('ApiKey', changed.id) : 'the id of a key',
    changedSecret: (await secretOf(changed)) ?? 'the secret of another key',
  }
}
