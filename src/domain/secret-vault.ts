import { CompactEncrypt, compactDecrypt, errors } from 'jose'

/** A 256-bit key that seals secrets. */
export interface EncryptionKey {
  kid: string
  key: Uint8Array
}

/**
 * Seals secrets as JWEs (`dir`, A256GCM) so that they can be shown again. The first key seals and every key opens: to
 * rotate keys, put a new one first. Without a key, secrets are not recoverable.
 */
export class SecretVault {
  readonly #keys: readonly EncryptionKey[]

  constructor(keys: readonly EncryptionKey[]) {
    this.#keys = keys
  }

  /** Whether the secrets of new keys can be shown again. */
  get seals(): boolean {
    return this.#keys.length > 0
  }

  /** The JWE of a key's secret, or null if secrets are not recoverable. */
  async seal(secret: string, apiKeyId: string): Promise<string | null> {
    const [current] = this.#keys
    if (!current) return null
    return await new CompactEncrypt(new TextEncoder().encode(secret))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: current.kid, apiKeyId })
      .encrypt(current.key)
  }

  /**
   * The secret in a JWE, or null if the encryption key is no longer configured. The JWE authenticates the API key's id,
   * so one that was copied to another key's row does not open.
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
