import { type Clock, elapsedMs } from '../../clock.ts'
import { UnauthenticatedError, UnavailableError } from '../../errors.ts'
import { type Transitions, transition } from '../transitions.ts'
import type { AccountHub, LiveUsageEvent } from './account-hub.ts'

export interface WatcherOptions {
  clock: Clock
  /** The minimum time between two events, in milliseconds. */
  intervalMs: number
  /** The keys to report; all of the account's if left out. */
  apiKeyIds?: ReadonlySet<string> | undefined
  /** When the watcher's token expires. */
  until?: Date | undefined
  /** Joins the account's hub, which calls `wake` whenever there may be something new. Called once, by the first read. */
  join: (wake: () => void) => { hub: AccountHub; ready: Promise<void>; leave: () => void }
  /** Calls back in a later turn of the event loop; only once, however often it is scheduled until then. */
  schedule: (callback: () => void) => void
}

interface Reader {
  resolve: (result: IteratorResult<LiveUsageEvent, undefined>) => void
  reject: (error: unknown) => void
}

type WatcherState = 'new' | 'joining' | 'watching' | 'over'

const transitions: Transitions<WatcherState> = {
  new: ['joining', 'over'],
  joining: ['watching', 'over'],
  watching: ['over'],
  over: [],
}

/**
 * One subscriber's events: a snapshot first, then changes, at most one event per interval.
 *
 *   new ──(first read)──▶ joining ──(the hub read the database)──▶ watching
 *    └──────────────────────┴──(left · token expired · read failed)──┴──────▶ over
 *
 * An event is assembled when it is read, so nothing queues up for a slow reader. A change wakes all of an account's
 * watchers, and there may be thousands. Hence no generator and no iterator from a library, which would create several
 * promises per event, and a timer only when a change falls within the interval.
 */
export class Watcher implements AsyncIterableIterator<LiveUsageEvent, undefined> {
  readonly #options: WatcherOptions
  #state: WatcherState = 'new'
  #hub: AccountHub | undefined
  /** The hub's version that the subscriber has seen. */
  #seen = 0
  /** When the interval since the last event ends, on the monotonic clock: the wall clock may be set. */
  #nextAtMs = 0
  #pausing = false
  /** Reads that wait for an event, oldest first. */
  readonly #readers: Reader[] = []
  /** The error it ended with, until somebody reads it. */
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
   * @throws UnauthenticatedError when the token expires, UnavailableError if the first read of the database fails;
   * either is thrown once
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
    const { clock, until, join, schedule } = this.#options
    this.#enter('joining')
    const { hub, ready, leave } = join(() => schedule(this.#deliver))
    this.#hub = hub
    this.#leave = leave
    if (until)
      this.#cancelExpiry = clock.at(until, () =>
        this.#end({ error: new UnauthenticatedError('The token has expired.') }),
      )
    ready.then(
      () => {
        if (this.#state !== 'joining') return
        this.#enter('watching')
        this.#deliver()
      },
      (cause) =>
        this.#end({ error: new UnavailableError('The counts cannot be read at the moment.', { cause }) }),
    )
  }

  /** Answers the oldest read if something is new and the interval is over. */
  #deliver = (): void => {
    if (this.#state !== 'watching' || this.#pausing || this.#readers.length === 0) return
    const { clock, intervalMs, apiKeyIds, schedule } = this.#options
    const next = this.#hub?.since(this.#seen, apiKeyIds)
    if (!next) return
    const nowMs = elapsedMs()
    if (nowMs < this.#nextAtMs) {
      this.#pausing = true
      this.#cancelPause = clock.after(Math.ceil(this.#nextAtMs - nowMs), () => {
        this.#pausing = false
        schedule(this.#deliver)
      })
      return
    }
    this.#seen = next.version
    this.#nextAtMs = nowMs + intervalMs
    this.#readers.shift()?.resolve({ done: false, value: next.event })
  }

  #enter(next: WatcherState): void {
    this.#state = transition(transitions, this.#state, next)
  }

  #end(failure?: { error: unknown }): void {
    if (this.#state === 'over') return
    this.#enter('over')
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
