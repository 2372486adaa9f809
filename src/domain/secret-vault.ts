import { CompactEncrypt, compactDecrypt, errors } from 'jose'

/** One 256-bit key that secrets are sealed under. */
export interface EncryptionKey {
  kid: string
  key: Uint8Array
}

/**
 * Keeps secrets so that they can be shown again: as JWEs (`dir`, A256GCM). The first key seals, every key
 * opens, so keys are rotated by putting a new one in front. Without a key nothing is kept.
 */
export class SecretVault {
  readonly #keys: readonly EncryptionKey[]

  constructor(keys: readonly EncryptionKey[]) {
    this.#keys = keys
  }

  /** The JWE of a key's secret, or null where secrets are not recoverable. */
  async seal(secret: string, apiKeyId: string): Promise<string | null> {
    const [current] = this.#keys
    if (!current) return null
    return await new CompactEncrypt(new TextEncoder().encode(secret))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: current.kid, apiKeyId })
      .encrypt(current.key)
  }

  /**
   * The secret in a JWE, or null where it was sealed under a key that is gone. The id of the API key is
   * authenticated with it, so that a JWE copied onto another key's row opens to nothing.
   */
  async open(jwe: string, apiKeyId: string): Promise<string | null> {
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(
        jwe,
        ({ kid }) => {
          const found = this.#keys.find((key) => key.kid === kid)
          if (!found) throw new errors.JWEDecryptionFailed()
          return found.key
        },
        { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] },
      )
      return protectedHeader.apiKeyId === apiKeyId ? new TextDecoder().decode(plaintext) : null
    } catch (error) {
      if (error instanceof errors.JOSEError) return null
      throw error
    }
  }
}
