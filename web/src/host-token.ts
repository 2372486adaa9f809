import { strings } from './strings.ts'

/** What the server says of the page at /: its own token in development, else whose page it is part of. */
type Session = { mode: 'development'; token: string } | { mode: 'embedded'; origin: string }

/** How long the host page has to answer. */
const answerWaitMs = 5_000

/** The customer's token, from the server itself in development, else from the page that has opened this one. */
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

/** Asks the window that frames or opened this one; anyone else's answer is passed over. */
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
