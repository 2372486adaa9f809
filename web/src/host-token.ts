import { strings } from './strings.ts'

/** The server's answer: a token in development, otherwise the origin of the host page. */
type Session = { mode: 'development'; token: string } | { mode: 'embedded'; origin: string }

/** How long the host page has to answer. */
const answerWaitMs = 5_000

/** The customer's token: from the server in development, otherwise from the page that framed or opened this one. */
export async function getToken(): Promise<string> {
  const session = await askSession()
  return session.mode === 'development' ? session.token : await askHost(session.origin)
}

async function askSession(): Promise<Session> {
  const response = await fetch('/client-area/session', { credentials: 'omit', cache: 'no-store' })
  const session: Session | { message?: string } | null = await response.json().catch(() => null)
  if (response.ok && session && 'mode' in session) return session
  throw new Error((session && 'message' in session && session.message) || strings.host.noSession)
}

/** Requests a token from the window that frames or opened this one. Ignores messages from anyone else. */
function askHost(origin: string): Promise<string> {
  const host: Window | null = window.parent !== window ? window.parent : window.opener
  return new Promise((resolve, reject) => {
    if (!host) return reject(new Error(strings.host.noHost))
    const ended = new AbortController()
    const timer = setTimeout(() => {
      ended.abort()
      reject(new Error(strings.host.noAnswer))
    }, answerWaitMs)
    window.addEventListener(
      'message',
      ({ origin: from, source, data }: MessageEvent) => {
        if (from !== origin || source !== host) return
        if (data?.type !== 'latchkey:token' || typeof data.token !== 'string') return
        clearTimeout(timer)
        ended.abort()
        resolve(data.token)
      },
      { signal: ended.signal },
    )
    host.postMessage({ type: 'latchkey:get-token' }, origin)
  })
}
