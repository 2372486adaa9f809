import { type Clock, elapsedMs } from '../../clock.ts'
import { UnauthenticatedError, UnavailableError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { type Transitions, transition } from '../transitions.ts'
import { type CountList, type LiveUsageEvent, nothingRead, type Place } from './count-list.ts'

export interface WatcherOptions {
  clock: Clock
  /** The minimum time between two events, in milliseconds. */
  intervalMs: number
  /** The keys to report; all of the account's if left out. */
  apiKeyIds?: ReadonlySet<string> | undefined
  /** When the watcher's token expires. */
  until?: Date | undefined
  /** Joins the account's hub, which calls `wake` whenever there may be something new. Called once, by the first read. */
  join: (wake: () => void) => { counts: CountList; ready: Promise<void>; leave: () => void }
  /** What to await before an event of so many keys, or fewer, is delivered. */
  turn: (apiKeys: number) => Promise<void> | undefined
}

const { apiKeysPerEvent } = fixedLimits

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
 * One subscriber's events: a snapshot first, then changes, at most one list per interval.
 *
 *   new ──(first read)──▶ joining ──(the hub read the database)──▶ watching
 *    └──────────────────────┴──(left · token expired · read failed)──┴──────▶ over
 *
 * An event is assembled when it is read and the account's turn has come, so nothing queues up for a slow reader. A
 * change wakes all of an account's watchers, and there may be thousands. Hence no generator and no iterator from a
 * library, which would create several promises per event, and a timer only when a change falls within the interval.
 */
export class Watcher implements AsyncIterableIterator<LiveUsageEvent, undefined> {
  readonly #options: WatcherOptions
  /** In order. */
  readonly #only: readonly string[] | undefined
  #state: WatcherState = 'new'
  #counts: CountList | undefined
  #place: Place = nothingRead
  /** When the interval since the last list ended is over, on the monotonic clock: the wall clock may be set. */
  #nextAtMs = 0
  /** Whether it waits for the interval to end, or for its turn. */
  #isWaiting = false
  /** Reads that wait for an event, oldest first. */
  readonly #readers: Reader[] = []
  /** The error it ended with, until somebody reads it. */
  #failure: { error: unknown } | undefined
  #leave = () => {}
  #cancelExpiry = () => {}
  #cancelPause = () => {}

  constructor(options: WatcherOptions) {
    this.#options = options
    this.#only = options.apiKeyIds && [...options.apiKeyIds].sort()
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
      else this.#wake()
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
    const { clock, until, join } = this.#options
    this.#enter('joining')
    const { counts, ready, leave } = join(() => this.#wake())
    this.#counts = counts
    this.#leave = leave
    if (until)
      this.#cancelExpiry = clock.at(until, () =>
        this.#end({ error: new UnauthenticatedError('The token has expired.') }),
      )
    ready.then(
      () => {
        if (this.#state !== 'joining') return
        this.#enter('watching')
        this.#wake()
      },
      (cause) =>
        this.#end({ error: new UnavailableError('The counts cannot be read at the moment.', { cause }) }),
    )
  }

  /** Has an event delivered when the interval is over and it is this account's turn. */
  #wake(): void {
    if (this.#state !== 'watching' || this.#isWaiting || this.#readers.length === 0) return
    if (!this.#counts?.mayHaveNews(this.#place)) return
    this.#isWaiting = true
    // The parts of a list follow each other without a pause: the list would otherwise take many seconds.
    const waitMs = this.#place.unfinished ? 0 : this.#nextAtMs - elapsedMs()
    if (waitMs <= 0) return void this.#takeTurn()
    this.#cancelPause = this.#options.clock.after(Math.ceil(waitMs), () => {
      this.#isWaiting = false
      this.#wake()
    })
  }

  async #takeTurn(): Promise<void> {
    const apiKeys = Math.min(this.#only?.length ?? apiKeysPerEvent, this.#counts?.size ?? 0, apiKeysPerEvent)
    await this.#options.turn(apiKeys)
    this.#isWaiting = false
    this.#deliver()
  }

  /** Answers the oldest read if something is new. */
  #deliver(): void {
    if (this.#state !== 'watching' || this.#readers.length === 0) return
    const next = this.#counts?.since(this.#place, this.#only)
    if (!next) return
    this.#place = next.place
    if (next.event.complete) this.#nextAtMs = elapsedMs() + this.#options.intervalMs
    this.#readers.shift()?.resolve({ done: false, value: next.event })
    this.#wake()
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
