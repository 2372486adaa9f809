import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { noteSecrets } from './app.ts'

/** A token issuer: signs tokens, and serves its public keys. */
export class TokenIssuer {
  /** How often the keys were fetched. */
  fetches = 0
  /** Whether it answers with errors. */
  fails = false
  #mayAnswer = Promise.resolve()
  readonly #keys: JWK[] = []
  #server: Server | undefined
  #port = 0

  get jwksUrl(): string {
    return `http://127.0.0.1:${this.#port}/jwks.json`
  }

  /** Creates a key pair and serves its public key. Returns a function that signs with it. */
  async addKey(alg: string, kid: string) {
    const { publicKey, privateKey } = await generateKeyPair(alg)
    const publicJwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
    this.#keys.push(publicJwk)
    const sign = async (claims: JWTPayload, header: object = {}) =>
      noteSecrets(
        await new SignJWT({ sub: 'tester', ...claims })
          .setProtectedHeader({ alg, kid, ...header })
          .setExpirationTime('3650d')
          .sign(privateKey),
      )
    return { sign, publicKey, publicJwk }
  }

  removeKey(kid: string): void {
    const index = this.#keys.findIndex((key) => key.kid === kid)
    if (index >= 0) this.#keys.splice(index, 1)
  }

  /** Holds back every answer, until the function that it returns is called. */
  holdAnswers(): () => void {
    let release = () => {}
    this.#mayAnswer = new Promise((resolve) => {
      release = resolve
    })
    return release
  }

  /** Listens; after a stop, on the same port as before. */
  async start(): Promise<void> {
    this.#server = createServer(async (_request, response) => {
      this.fetches++
      await this.#mayAnswer
      response.statusCode = this.fails ? 500 : 200
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.#keys }))
    })
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (typeof address === 'object' && address) this.#port = address.port
  }

  async stop(): Promise<void> {
    if (!this.#server) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    this.#server = undefined
    await closed
  }
}
