import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Principal } from '../domain/principal.ts'
import { externalIdRule } from '../domain/text.ts'
import { LatchkeyError, UnauthenticatedError, UnavailableError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'

export interface AuthenticatorOptions {
  /** Where the token issuer publishes its public keys. */
  jwksUrl?: URL | undefined
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
  /** Resolves when tokens can be verified. Rejects where the issuer's keys were never fetched and cannot be now. */
  checkReady(): Promise<void>
}

/** An unknown key id makes the issuer's keys be fetched again, but not sooner than this. */
const refetchAfterMs = 200

/**
 * A valid token is not verified again for this long, or until it expires: verifying the signature costs more than the
 * rest of a request. A key that its issuer withdraws is trusted for this much longer.
 */
const verifiedForMs = 30_000

interface VerifiedToken {
  principal: Principal
  until: Date
}

export function createAuthenticator(options: AuthenticatorOptions, clock: Clock): Authenticator {
  const { jwksUrl, secret, issuer, audience, accountClaim } = options
  const jwks = jwksUrl && createRemoteJWKSet(jwksUrl, { cooldownDuration: refetchAfterMs })
  const verified = new LRUCache<string, VerifiedToken>({ max: fixedLimits.checkedTokens })

  async function verify(token: string): Promise<JWTPayload> {
    const checks: JWTVerifyOptions = {
      currentDate: clock.now(),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    }
    // Each kind of key is offered only to its own algorithms, so that a public key is never used as a shared secret.
    const symmetric = algorithmOf(token) === 'HS256'
    if (symmetric && secret)
      return (await jwtVerify(token, secret, { ...checks, algorithms: ['HS256'] })).payload
    if (!symmetric && jwks)
      return (await jwtVerify(token, jwks, { ...checks, algorithms: ['RS256', 'ES256', 'EdDSA'] })).payload
    throw new errors.JOSEAlgNotAllowed('no key for this algorithm')
  }

  async function authenticate(authorization: string | undefined): Promise<Principal | null> {
    if (authorization === undefined) return null
    const known = verified.get(authorization)
    if (known && clock.now() < known.until) return known.principal
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
    if (!token) throw invalidToken()
    try {
      const principal = principalFrom(await verify(token), accountClaim)
      verified.set(authorization, { principal, until: verifyAgainAt(principal, clock.now()) })
      return principal
    } catch (cause) {
      if (cause instanceof LatchkeyError) throw cause
      throw isTokensFault(cause)
        ? invalidToken(cause)
        : new UnavailableError('Tokens cannot be verified at the moment. Try again.', { cause })
    }
  }

  return {
    authenticate,
    async checkReady() {
      if (jwks && jwks.jwks() === undefined) await jwks.reload()
    },
  }
}

function verifyAgainAt({ expiresAt }: Principal, now: Date): Date {
  const at = now.getTime() + verifiedForMs
  return expiresAt && expiresAt.getTime() < at ? expiresAt : new Date(at)
}

function invalidToken(cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError('The token is not valid. It may have expired: send a fresh one.', { cause })
}

/** @throws UnauthenticatedError: it is not a JWT */
function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg
  } catch (cause) {
    throw invalidToken(cause)
  }
}

/** Tells jose's errors about the token from those about fetching the issuer's keys. */
function isTokensFault(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false
  return error instanceof errors.JOSEError && error.code !== errors.JOSEError.code
}

/** The last instant that a Date can hold, in milliseconds; tokens may name a later one. */
const latestInstant = 8.64e15

function principalFrom(payload: JWTPayload, accountClaim: string): Principal {
  const { sub, scope = '', exp } = payload
  const account = payload[accountClaim]
  if (!sub || typeof sub !== 'string' || typeof scope !== 'string') throw invalidToken()
  if (account !== undefined && !externalIdRule.safeParse(account).success) throw invalidToken()
  return {
    subject: sub,
    scopes: scope.split(' ').filter(Boolean),
    ...(account === undefined ? {} : { accountExternalId: account as string }),
    ...(exp === undefined ? {} : { expiresAt: new Date(Math.min(exp * 1_000, latestInstant)) }),
  }
}
