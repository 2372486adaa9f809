import { describe, expect, it } from 'vitest'
import { SecretVault } from '../../src/domain/secret-vault.ts'

const keyOf = (kid: string, byte: number) => ({ kid, key: new Uint8Array(32).fill(byte) })

describe('the vault', () => {
  it('opens a secret only for the API key that it was sealed for', async () => {
    const vault = new SecretVault([keyOf('a', 1)])
    const jwe = (await vault.seal('the secret', 'key-1')) ?? ''
    expect(jwe).not.toContain('the secret')
    expect(await vault.open(jwe, 'key-1')).toBe('the secret')
    expect(await vault.open(jwe, 'key-2')).toBeNull()
  })

  it('seals with the first encryption key, and opens with all of them', async () => {
    const former = (await new SecretVault([keyOf('a', 1)]).seal('old', 'k')) ?? ''
    const rotated = new SecretVault([keyOf('b', 2), keyOf('a', 1)])
    expect(await rotated.open(former, 'k')).toBe('old')
    const current = (await rotated.seal('new', 'k')) ?? ''
    expect(await new SecretVault([keyOf('b', 2)]).open(current, 'k')).toBe('new')
  })

  it('does not open without the key, with another key, or after tampering', async () => {
    const jwe = (await new SecretVault([keyOf('a', 1)]).seal('x', 'k')) ?? ''
    expect(await new SecretVault([]).open(jwe, 'k')).toBeNull()
    expect(await new SecretVault([keyOf('a', 9)]).open(jwe, 'k')).toBeNull()
    // Any character of the tag but the last, of which only some bits count.
    const tampered = `${jwe.slice(0, -2)}${jwe.at(-2) === 'A' ? 'B' : 'A'}${jwe.at(-1)}`
    expect(await new SecretVault([keyOf('a', 1)]).open(tampered, 'k')).toBeNull()
    expect(await new SecretVault([keyOf('a', 1)]).open('garbage', 'k')).toBeNull()
  })

  it('seals nothing without an encryption key', async () => {
    expect(await new SecretVault([]).seal('x', 'k')).toBeNull()
  })
})
