import { createRoot, type Root } from 'react-dom/client'
import { type Api, createApi } from './api/client.ts'
import type { GetToken } from './api/tokens.ts'
import { App } from './app.tsx'
import { strings } from './strings.ts'
import css from './styles/index.css?inline'

const sheet = new CSSStyleSheet()
sheet.replaceSync(css)

/** The default of the attribute `example`. */
const defaultExample = "curl -H 'Authorization: Bearer {key}' https://api.example.com/v3/ping"

/**
 * `<latchkey-keys endpoint="https://keys.example.com/graphql">`: the API Keys page, in its own shadow root.
 *
 * `endpoint` is the URL of the GraphQL API. The property `getToken` returns the customer's token and is called whenever
 * a new one is needed. `heading-level` (default 2) is the level of the heading. `example` is a command that shows how
 * to use a key; `{key}` stands for the key.
 */
export class LatchkeyKeys extends HTMLElement {
  static readonly observedAttributes = ['endpoint', 'heading-level', 'example']

  #getToken: GetToken | undefined
  #api: Api | undefined
  #root: Root | undefined
  #layer: HTMLElement | undefined
  #restarts = 0

  constructor() {
    super()
    const shadow = this.attachShadow({ mode: 'open' })
    shadow.adoptedStyleSheets = [sheet]
    // The host page may have set the property before this script loaded.
    if (Object.hasOwn(this, 'getToken')) {
      const { getToken } = this
      Reflect.deleteProperty(this, 'getToken')
      this.#getToken = getToken
    }
  }

  get getToken(): GetToken | undefined {
    return this.#getToken
  }

  set getToken(getToken: GetToken | undefined) {
    if (getToken === this.#getToken) return
    this.#getToken = getToken
    this.#restart()
  }

  connectedCallback(): void {
    const app = document.createElement('div')
    app.className = 'app'
    this.#layer = document.createElement('div')
    this.shadowRoot?.replaceChildren(app, this.#layer)
    this.#root = createRoot(app)
    this.#restart()
  }

  disconnectedCallback(): void {
    this.#root?.unmount()
    this.#root = undefined
    this.#end()
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now) return
    if (name === 'endpoint') this.#restart()
    else this.#render()
  }

  /** Starts from scratch: nothing is shared with the previous endpoint or customer. */
  #restart(): void {
    this.#end()
    if (!this.#root) return
    this.#restarts++
    const endpoint = this.getAttribute('endpoint')
    if (endpoint && this.#getToken) this.#api = createApi(endpoint, this.#getToken)
    this.#render()
  }

  #end(): void {
    this.#api?.stop()
    this.#api = undefined
  }

  #render(): void {
    if (!this.#root || !this.#layer) return
    const level = Number(this.getAttribute('heading-level') ?? 2)
    const { title, hint } = strings.problems.noEndpoint
    this.#root.render(
      this.#api ? (
        <App
          key={this.#restarts}
          api={this.#api}
          headingLevel={level >= 1 && level <= 6 ? level : 2}
          example={this.getAttribute('example') ?? defaultExample}
          layer={this.#layer}
        />
      ) : (
        <p className="hint not-set-up">
          {title}. {hint}
        </p>
      ),
    )
  }
}

if (!customElements.get('latchkey-keys')) customElements.define('latchkey-keys', LatchkeyKeys)

declare global {
  interface HTMLElementTagNameMap {
    'latchkey-keys': LatchkeyKeys
  }
}
