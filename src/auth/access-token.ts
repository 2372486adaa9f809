import type { JWTPayload, ProtectedHeaderParameters } from 'jose'

/** Claims that OpenID Connect Core defines for ID tokens (2, 3.1.3.6, 3.3.2.11) and RFC 9068 does not for access tokens. */
const idTokenClaims = ['nonce', 'at_hash', 'c_hash', 's_hash']

/**
 * Tells access tokens from the other tokens that an issuer signs with the same keys. An ID token tells a client who has
 * signed in; it is handled with less care than an access token, and admits nobody.
 *
 * A type decides where there is one: the header's `typ` (RFC 9068: `at+jwt`), Keycloak's claim `typ` or Cognito's
 * `token_use`. Without one, the claims that only ID tokens have decide. `azp`, `auth_time`, `acr` and `amr` say nothing:
 * access tokens have them too.
 */
export function isAccessToken({ typ = 'JWT' }: ProtectedHeaderParameters, payload: JWTPayload): boolean {
  const type = String(typ)
    .toLowerCase()
    .replace(/^application\//, '')
  if (type === 'at+jwt') return true
  // RFC 8725, 3.11: for instance logout tokens, security events and proofs of possession.
  if (type.endsWith('+jwt')) return false
  const declared = payload.token_use ?? payload.typ
  if (declared === 'access' || declared === 'Bearer') return true
  if (declared === 'id' || declared === 'ID') return false
  return !idTokenClaims.some((claim) => claim in payload)
}
