import { write, writeSync } from 'node:fs'
import { fixedLimits } from './limits.ts'

const { logBufferBytes } = fixedLimits

/** Lines are gathered up to this size or time. */
const enoughBytes = 8_192
const gatheringMs = 200

/** A full pipe is tried again after this time; a full disk, or another fault, after the other one. */
const fullMs = 20
const failedMs = 1_000

/**
 * Writes lines to a file descriptor without ever waiting for it. While it accepts nothing (a full disk, a pipe that
 * nobody reads), up to `logBufferBytes` are kept and further lines are dropped. A line with their number follows when
 * writing works again.
 */
export class LogOutput {
  readonly #fd: number
  /** Lines that are not being written yet. */
  #lines: string[] = []
  #bytes = 0
  #writing: Buffer | undefined
  #failed = false
  #dropped = 0
  #timer: NodeJS.Timeout | undefined
  #onFlushed: (() => void)[] = []

  /** @param fd a file, or a pipe that does not block */
  constructor(fd: number) {
    this.#fd = fd
    process.once('exit', () => this.#writeLast())
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#bytes + (this.#writing?.length ?? 0) + bytes > logBufferBytes) {
      this.#dropped++
      return
    }
    this.#lines.push(line)
    this.#bytes += bytes
    if (this.#writing) return
    if (this.#bytes >= enoughBytes) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), gatheringMs).unref()
  }

  /** Calls back when everything has been written, or cannot be at the moment. */
  flush(callback: () => void = () => {}): void {
    this.#onFlushed.push(callback)
    if (this.#failed) this.#flushed()
    else if (!this.#writing) this.#send()
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#bytes > 0) {
      this.#writing = Buffer.from(this.#take())
      this.#writeOn()
    } else this.#flushed()
  }

  #take(): string {
    const text = this.#lines.join('')
    this.#lines = []
    this.#bytes = 0
    return text
  }

  #writeOn(): void {
    write(this.#fd, this.#writing as Buffer, (error, written) => {
      if (error) return this.#tryAgain(error)
      this.#failed = false
      const rest = (this.#writing as Buffer).subarray(written)
      this.#writing = rest.length > 0 ? rest : undefined
      if (this.#writing) return this.#writeOn()
      this.#reportDropped()
      if (this.#bytes >= enoughBytes || this.#onFlushed.length > 0) this.#send()
      else if (this.#bytes > 0) this.#timer ??= setTimeout(() => this.#send(), gatheringMs).unref()
    })
  }

  #tryAgain({ code }: NodeJS.ErrnoException): void {
    this.#failed = true
    this.#flushed()
    setTimeout(() => this.#writeOn(), code === 'EAGAIN' ? fullMs : failedMs).unref()
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return
    const dropped = this.#dropped
    this.#dropped = 0
    const time = new Date().toISOString()
    this.write(
      `${JSON.stringify({ level: 40, time, dropped, msg: 'the log could not be written in time' })}\n`,
    )
  }

  #flushed(): void {
    for (const callback of this.#onFlushed.splice(0)) callback()
  }

  /** What is still gathered when the process exits, as far as it can be written at once. */
  #writeLast(): void {
    if (this.#failed || this.#bytes === 0) return
    const last = Buffer.from(this.#take())
    try {
      for (let at = 0; at < last.length; ) at += writeSync(this.#fd, last, at)
    } catch {
      // There is nowhere left to report it.
    }
  }
}
