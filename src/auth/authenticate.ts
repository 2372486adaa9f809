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

export interface AuthenticateOptions {
  /** Where the public keys are of who issues the tokens. */
  jwksUrl?: URL | undefined
  /** What tokens are signed with that are signed with HS256. */
  secret?: Uint8Array | undefined
  issuer?: string | undefined
  audience?: string | undefined
  /** The claim that holds the customer's external id. */
  accountClaim: string
}

/**
 * Who an Authorization header speaks for; null where there is none.
 * @throws UnauthenticatedError (every bad token alike), UnavailableError (the issuer's keys cannot be fetched)
 */
export type Authenticate = (authorization: string | undefined) => Promise<Principal | null>

/** An unknown key id makes the keys be fetched again, but not more often than this. */
const refetchAfterMs = 200

/**
 * A token that was good is not checked again for this long, or until it expires: its signature costs more than
 * all else of a request. A key that its issuer withdraws is thus trusted for this much longer.
 */
const checkedForMs = 30_000
const maxCheckedTokens = 10_000

interface CheckedToken {
  principal: Principal
  until: Date
}

function checkAgainAt({ expiresAt }: Principal, now: Date): Date {
  const at = now.getTime() + checkedForMs
  return expiresAt && expiresAt.getTime() < at ? expiresAt : new Date(at)
}

/** Makes the one function that all tokens are checked by, whichever way they come in. */
export function createAuthenticate(options: AuthenticateOptions, clock: Clock): Authenticate {
  const { jwksUrl, secret, issuer, audience, accountClaim } = options
  const jwks = jwksUrl && createRemoteJWKSet(jwksUrl, { cooldownDuration: refetchAfterMs })

  async function verify(token: string): Promise<JWTPayload> {
    const checks: JWTVerifyOptions = {
      currentDate: clock.now(),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    }
    // Each kind of key is offered only to its own algorithms, so that a public key is never taken for a secret.
    const symmetric = decodeProtectedHeader(token).alg === 'HS256'
    if (symmetric && secret)
      return (await jwtVerify(token, secret, { ...checks, algorithms: ['HS256'] })).payload
    if (!symmetric && jwks)
      return (await jwtVerify(token, jwks, { ...checks, algorithms: ['RS256', 'ES256', 'EdDSA'] })).payload
    throw new errors.JOSEAlgNotAllowed('no key for this algorithm')
  }

  const checked = new LRUCache<string, CheckedToken>({ max: maxCheckedTokens })

  return async (authorization) => {
    if (authorization === undefined) return null
    const known = checked.get(authorization)
    if (known && clock.now() < known.until) return known.principal
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
    if (!token) throw invalidToken()
    try {
      const principal = principalFrom(await verify(token), accountClaim)
      checked.set(authorization, { principal, until: checkAgainAt(principal, clock.now()) })
      return principal
    } catch (cause) {
      if (cause instanceof LatchkeyError) throw cause
      throw isTokensFault(cause)
        ? invalidToken(cause)
        : new UnavailableError('Tokens cannot be checked at the moment. Try again.', { cause })
    }
  }
}

function invalidToken(cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError('The token is not valid. It may have expired: send a fresh one.', { cause })
}

/** jose's errors about the token, as against those about fetching the keys that it is checked with. */
function isTokensFault(error: unknown): boolean {
  if (error instanceof TypeError)
    return error.message.includes('Invalid Token') || error.message.includes('protected header')
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
