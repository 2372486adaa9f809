import { createHistogram } from 'node:perf_hooks'
import type { DecisionCode } from '../../domain/metering/decision.ts'
import type { Outcome } from './server.ts'

/** In display order: an exhausted quota is the refusal to notice first. */
const decisionCodes: readonly DecisionCode[] = [
  'ADMITTED',
  'QUOTA_EXCEEDED',
  'ACCESS_DENIED',
  'KEY_INVALID',
  'API_CALL_UNKNOWN',
]

/** The outcomes of the calls so far. */
export class Totals {
  sent = 0
  readonly #decisions = new Map<DecisionCode, number>()
  readonly #errors = new Map<string, number>()
  readonly #latencyNs = createHistogram()
  /** How many calls had been sent at recent moments, for the current rate. */
  #samples: { elapsedMs: number; sent: number }[] = [{ elapsedMs: 0, sent: 0 }]

  add(outcome: Outcome, latencyMs: number): void {
    if ('error' in outcome) return void increase(this.#errors, outcome.error)
    increase(this.#decisions, outcome.code)
    this.#latencyNs.record(Math.max(1, Math.round(latencyMs * 1e6)))
  }

  /** One line, most important figures first. */
  line(elapsedMs: number): string {
    return [
      `${Math.round(elapsedMs / 1_000)} s`,
      `${format(this.sent)} sent`,
      `${format(this.#decisions.get('ADMITTED') ?? 0)} ADMITTED`,
      ...this.#failures(),
      `${this.#currentRate(elapsedMs)}/s`,
      `p50 ${this.#latency(50)}`,
      `p99 ${this.#latency(99)}`,
    ].join('  ')
  }

  /** All figures, one per line. */
  summary(elapsedMs: number): string {
    const seconds = elapsedMs / 1_000
    const rows = decisionCodes.map((code) => [code, this.#decisions.get(code) ?? 0] as const)
    const errors = [...this.#errors].map(([code, count]) => [`error ${code}`, count] as const)
    const lines = [...rows, ...errors].map(
      ([name, count]) => `  ${name.padEnd(24)}${format(count).padStart(10)}`,
    )
    return [
      `${format(this.sent)} calls in ${seconds.toFixed(1)} s, ${(this.sent / Math.max(seconds, 0.001)).toFixed(1)} per second`,
      ...lines,
      `  Latency: p50 ${this.#latency(50)}, p99 ${this.#latency(99)}`,
    ].join('\n')
  }

  /** Refusals and errors, by code, where there were any. */
  #failures(): string[] {
    const denied = decisionCodes
      .slice(1)
      .map((code) => [code, this.#decisions.get(code) ?? 0] as const)
      .filter(([, count]) => count > 0)
    const errors = [...this.#errors].map(([code, count]) => [`errors (${code})`, count] as const)
    return [...denied, ...errors].map(([name, count]) => `${format(count)} ${name}`)
  }

  #currentRate(elapsedMs: number): number {
    this.#samples.push({ elapsedMs, sent: this.sent })
    while (this.#samples.length > 2 && (this.#samples[0]?.elapsedMs ?? 0) < elapsedMs - 1_500)
      this.#samples.shift()
    const [oldest = { elapsedMs: 0, sent: 0 }] = this.#samples
    return Math.round(((this.sent - oldest.sent) * 1_000) / Math.max(1, elapsedMs - oldest.elapsedMs))
  }

  #latency(percentile: number): string {
    if (this.#latencyNs.count === 0) return '-'
    const ms = this.#latencyNs.percentile(percentile) / 1e6
    return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  }
}

function increase<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function format(count: number): string {
  return count.toLocaleString('en-US')
}
