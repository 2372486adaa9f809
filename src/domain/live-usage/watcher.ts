import type { Clock } from '../../clock.ts'
import { UnauthenticatedError, UnavailableError } from '../../errors.ts'
import type { AccountHub, LiveUsageEvent } from './account-hub.ts'

export interface WatcherOptions {
  clock: Clock
  /** The least time between two events, in milliseconds. */
  intervalMs: number
  /** The keys to be told of; all of the account's where left out. */
  apiKeyIds?: ReadonlySet<string> | undefined
  /** When the watcher's token expires. */
  until?: Date | undefined
  /** Joins the account's hub, to be woken whenever there may be something new. Called once, by the first read. */
  join: (wake: () => void) => { hub: AccountHub; ready: Promise<void>; leave: () => void }
  /** Calls back when it is this watcher's turn; once, if it is asked again until then. */
  inTurn: (callback: () => void) => void
}

interface Reader {
  resolve: (result: IteratorResult<LiveUsageEvent, undefined>) => void
  reject: (error: unknown) => void
}

/**
 * One subscriber's events: first a snapshot, then what changes, at most one an interval. An event is put together when
 * it is read and not before, so that nothing queues up for who reads slowly.
 *
 *   new ──(first read)──▶ joining ──(the hub has read the database)──▶ watching
 *    └──────────┴───(left · token expired · the read failed)──┴──────────▶ over
 *
 * There are many of these, and each change wakes all of an account's: hence no generator and no library's iterator,
 * which would make several promises for an event, and a timer only where a change comes within the interval.
 */
export class Watcher implements AsyncIterableIterator<LiveUsageEvent, undefined> {
  readonly #options: WatcherOptions
  #state: 'new' | 'joining' | 'watching' | 'over' = 'new'
  #hub: AccountHub | undefined
  /** The version of the hub that has been seen. */
  #seen = 0
  #nextAtMs = 0
  #pausing = false
  /** Reads that are yet to be answered, oldest first. */
  readonly #readers: Reader[] = []
  /** What it ended with, where nobody was reading then. */
  #failure: { error: unknown } | undefined
  #leave = () => {}
  #cancelExpiry = () => {}
  #cancelPause = () => {}

  constructor(options: WatcherOptions) {
    this.#options = options
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /**
   * @throws UnauthenticatedError when the token expires, UnavailableError where the first read of the database fails;
   * whatever it ends with, once
   */
  next(): Promise<IteratorResult<LiveUsageEvent, undefined>> {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject })
      if (this.#state === 'new') this.#join()
      else if (this.#state === 'over') this.#answerLast()
      else this.#deliver()
    })
  }

  async return(): Promise<IteratorResult<LiveUsageEvent, undefined>> {
    this.#end()
    return { done: true, value: undefined }
  }

  async throw(error: unknown): Promise<never> {
    this.#end()
    throw error
  }

  #join(): void {
    const { clock, until, join, inTurn } = this.#options
    this.#state = 'joining'
    const { hub, ready, leave } = join(() => inTurn(this.#deliver))
    this.#hub = hub
    this.#leave = leave
    if (until)
      this.#cancelExpiry = clock.at(until, () =>
        this.#end({ error: new UnauthenticatedError('The token has expired.') }),
      )
    ready.then(
      () => {
        if (this.#state !== 'joining') return
        this.#state = 'watching'
        this.#deliver()
      },
      (cause) =>
        this.#end({ error: new UnavailableError('The counts cannot be read at the moment.', { cause }) }),
    )
  }

  /** Answers a read, where there is one, something to tell, and the interval is over. */
  #deliver = (): void => {
    if (this.#state !== 'watching' || this.#pausing || this.#readers.length === 0) return
    const { clock, intervalMs, apiKeyIds, inTurn } = this.#options
    const next = this.#hub?.since(this.#seen, apiKeyIds)
    if (!next) return
    const now = clock.now().getTime()
    if (now < this.#nextAtMs) {
      this.#pausing = true
      this.#cancelPause = clock.at(new Date(this.#nextAtMs), () => {
        this.#pausing = false
        inTurn(this.#deliver)
      })
      return
    }
    this.#seen = next.version
    this.#nextAtMs = now + intervalMs
    this.#readers.shift()?.resolve({ done: false, value: next.event })
  }

  #end(failure?: { error: unknown }): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#failure = failure
    this.#cancelExpiry()
    this.#cancelPause()
    this.#leave()
    while (this.#readers.length > 0) this.#answerLast()
  }

  #answerLast(): void {
    const reader = this.#readers.shift()
    const failure = this.#failure
    this.#failure = undefined
    if (failure) reader?.reject(failure.error)
    else reader?.resolve({ done: true, value: undefined })
  }
}
