import type { Principal, Scope } from '../domain/principal.ts'
import { ForbiddenError, UnauthenticatedError } from '../errors.ts'

/** The scope that every field with `extensions.metering` requires. */
export const meteringScope: Scope = 'calls:meter'

/** Why a principal without these scopes is refused. */
export function scopeError(
  principal: Principal | null,
  missing: readonly string[],
): UnauthenticatedError | ForbiddenError {
  if (!principal) return new UnauthenticatedError('Send a bearer token: Authorization: Bearer <token>.')
  return new ForbiddenError(`The token lacks the scope that this needs: ${missing.join(', ')}.`)
}
