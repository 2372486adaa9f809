import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose'
import { LRUCache } from 'lru-cache'
import { type Clock, elapsedMs } from '../clock.ts'
import type { Principal } from '../domain/principal.ts'
import { externalIdRule } from '../domain/text.ts'
import { LatchkeyError, UnauthenticatedError, UnavailableError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { isAccessToken } from './access-token.ts'
import { IssuerKeys } from './issuer-keys.ts'

export interface AuthenticatorOptions {
  /** Where the token issuer publishes its public keys. */
  jwksUrl?: URL | undefined
  /** How long its keys are used while they cannot be fetched again. */
  jwksMaxStaleMs: number
  /** The secret that HS256 tokens are signed with. */
  secret?: Uint8Array | undefined
  issuer?: string | undefined
  audience?: string | undefined
  /** The claim that holds the customer's external id. */
  accountClaim: string
}

/** Verifies bearer tokens, whichever transport they arrive by. */
export interface Authenticator {
  /**
   * Who an Authorization header speaks for; null where there is no header.
   * @throws UnauthenticatedError (every bad token alike), UnavailableError (the issuer's keys cannot be fetched)
   */
  authenticate(authorization: string | undefined): Promise<Principal | null>
  /** Resolves when tokens can be verified. Rejects where the issuer's keys are needed and cannot be fetched. */
  checkReady(): Promise<void>
}

/**
 * A valid token is not verified again for this long, or until it expires: verifying the signature costs more than the
 * rest of a request. A key that its issuer withdraws is trusted for this much longer.
 */
const verifiedForMs = 30_000

interface VerifiedToken {
  principal: Principal
  until: Date
  /** When it was verified, on the monotonic clock: setting the machine's clock back does not prolong the trust. */
  atMs: number
}

/** `elapsed`: milliseconds since any moment; tests replace it. */
export function createAuthenticator(
  options: AuthenticatorOptions,
  clock: Clock,
  elapsed: () => number = elapsedMs,
): Authenticator {
  const { jwksUrl, jwksMaxStaleMs, secret, issuer, audience, accountClaim } = options
  const issuerKeys = jwksUrl && new IssuerKeys({ url: jwksUrl, clock, maxStaleMs: jwksMaxStaleMs })
  const verified = new LRUCache<string, VerifiedToken>({
    max: fixedLimits.checkedTokens,
    maxSize: fixedLimits.checkedTokensLength,
  })

  async function verify(token: string): Promise<JWTPayload> {
    const checks: JWTVerifyOptions = {
      currentDate: clock.now(),
      requiredClaims: ['exp'],
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    }
    // Each kind of key is offered only to its own algorithms, so that a public key is never used as a shared secret.
    const header = headerOf(token)
    const symmetric = header.alg === 'HS256'
    let payload: JWTPayload
    if (symmetric && secret)
      payload = (await jwtVerify(token, secret, { ...checks, algorithms: ['HS256'] })).payload
    else if (!symmetric && issuerKeys)
      payload = (
        await jwtVerify(token, issuerKeys.find, { ...checks, algorithms: ['RS256', 'ES256', 'EdDSA'] })
      ).payload
    else throw invalidToken()
    if (!isAccessToken(header, payload)) throw invalidToken()
    return payload
  }

  async function authenticate(authorization: string | undefined): Promise<Principal | null> {
    if (authorization === undefined) return null
    const token = tokenIn(authorization)
    if (!token) throw invalidToken()
    const known = verified.get(token)
    if (known && elapsed() - known.atMs < verifiedForMs && clock.now() < known.until) return known.principal
    const atMs = elapsed()
    try {
      const principal = principalFrom(await verify(token), accountClaim)
      // The token is a slice of the header, and keeps all of it in memory.
      const size = authorization.length
      verified.set(token, { principal, until: verifyAgainAt(principal, clock.now()), atMs }, { size })
      return principal
    } catch (cause) {
      if (cause instanceof LatchkeyError) throw cause
      if (cause instanceof errors.JOSEError) throw invalidToken(cause)
      throw new UnavailableError('Tokens cannot be verified at the moment. Try again.', { cause })
    }
  }

  return {
    authenticate,
    async checkReady() {
      await issuerKeys?.checkReady()
    },
  }
}

/** The token in an Authorization header; undefined where it has another form or is too long to be looked at. */
function tokenIn(authorization: string): string | undefined {
  if (authorization.length > fixedLimits.authorizationLength) return undefined
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1]
}

/** @throws UnauthenticatedError */
function headerOf(token: string): ProtectedHeaderParameters {
  try {
    return decodeProtectedHeader(token)
  } catch (cause) {
    throw invalidToken(cause)
  }
}

function verifyAgainAt({ expiresAt }: Principal, now: Date): Date {
  const at = now.getTime() + verifiedForMs
  return expiresAt.getTime() < at ? expiresAt : new Date(at)
}

function invalidToken(cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError('The token is not valid. It may have expired: send a fresh one.', { cause })
}

/** The last instant that a Date can hold, in milliseconds; tokens may name a later one. */
const latestInstant = 8.64e15

function principalFrom(payload: JWTPayload, accountClaim: string): Principal {
  const { sub, scope = '', exp = 0 } = payload
  const account = payload[accountClaim]
  if (!sub || typeof sub !== 'string' || typeof scope !== 'string') throw invalidToken()
  if (account !== undefined && !externalIdRule.safeParse(account).success) throw invalidToken()
  return {
    subject: sub,
    scopes: scope.split(' ').filter(Boolean),
    ...(account === undefined ? {} : { accountExternalId: account as string }),
    expiresAt: new Date(Math.min(exp * 1_000, latestInstant)),
  }
}
