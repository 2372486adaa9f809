import { createRoot, type Root } from 'react-dom/client'
import { type Api, createApi } from './api/client.ts'
import type { GetToken } from './api/tokens.ts'
import { App } from './app.tsx'
import { strings } from './strings.ts'
import css from './styles/index.css?inline'

const sheet = new CSSStyleSheet()
sheet.replaceSync(css)

/** Stands for a call to the host's API where the attribute `example` gives none. */
const defaultExample = "curl -H 'Authorization: Bearer {key}' https://api.example.com/v3/ping"

/**
 * `<latchkey-keys endpoint="https://keys.example.com/graphql">`: the API Keys page, in a shadow root of its own.
 *
 * `endpoint` is the address of the GraphQL API. The property `getToken` gives the customer's token, and is asked
 * again whenever another is needed. `heading-level` (2 when left out) is the level of its heading, `example` a
 * command that shows how a key is used, in which `{key}` stands for it.
 */
export class LatchkeyKeys extends HTMLElement {
  static readonly observedAttributes = ['endpoint', 'heading-level', 'example']

  #getToken: GetToken | undefined
  #api: Api | undefined
  #root: Root | undefined
  #layer: HTMLElement | undefined
  #beginnings = 0

  constructor() {
    super()
    const shadow = this.attachShadow({ mode: 'open' })
    shadow.adoptedStyleSheets = [sheet]
    // A host page may have set the property before this script had come.
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
    this.#begin()
  }

  connectedCallback(): void {
    const app = document.createElement('div')
    app.className = 'app'
    this.#layer = document.createElement('div')
    this.shadowRoot?.replaceChildren(app, this.#layer)
    this.#root = createRoot(app)
    this.#begin()
  }

  disconnectedCallback(): void {
    this.#root?.unmount()
    this.#root = undefined
    this.#end()
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now) return
    if (name === 'endpoint') this.#begin()
    else this.#render()
  }

  /** Begins anew: another endpoint or another customer shares nothing with the one before. */
  #begin(): void {
    this.#end()
    if (!this.#root) return
    this.#beginnings++
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
          key={this.#beginnings}
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
