import { readdirSync, readFileSync } from 'node:fs'

/** When a process ends, its CPU time since the last sample is lost. */
const sampleMs = 500
const ticksPerSecond = 100
const sharedProcesses = / (checkpointer|background writer|walwriter|autovacuum launcher) $/

/**
 * Measures the CPU time of a server and of PostgreSQL between `start` and `stop`, from /proc. PostgreSQL is every
 * process that works on `database`, plus the processes that all its databases share; so nothing else should use
 * that PostgreSQL meanwhile. `stop` returns µs of CPU time: `serverUs` and `postgresUs`, each undefined where
 * there is nothing to read (no /proc, PostgreSQL on another machine, no database).
 */
export function cpuMeter({ pid, database } = {}) {
  const server = new Total()
  const postgres = new Total()
  const notPostgres = new Set()
  const ofDatabase = new Set()
  let timer

  const sample = () => {
    if (pid !== undefined) server.add(threadsOf(pid))
    if (database === undefined) return
    for (const id of postgresProcesses(notPostgres)) {
      const title = readTitle(id)
      if (title.includes(` ${database} `)) ofDatabase.add(id)
      if (ofDatabase.has(id) || sharedProcesses.test(title)) postgres.add(threadsOf(id))
    }
  }
  return {
    start() {
      sample()
      server.begin()
      postgres.begin()
      timer = setInterval(sample, sampleMs)
      timer.unref()
    },
    stop() {
      clearInterval(timer)
      sample()
      return {
        serverUs: server.size > 0 ? server.us : undefined,
        postgresUs: ofDatabase.size > 0 ? postgres.us : undefined,
      }
    },
  }
}

/** The CPU time of a set of threads; those that start after `begin` count from zero. */
class Total {
  #threads = new Map()

  begin() {
    for (const thread of this.#threads.values()) thread.first = thread.last
  }

  add(threads) {
    for (const [id, us] of threads) {
      const thread = this.#threads.get(id)
      if (thread) thread.last = us
      else this.#threads.set(id, { first: 0, last: us })
    }
  }

  get size() {
    return this.#threads.size
  }

  get us() {
    let sum = 0
    for (const { first, last } of this.#threads.values()) sum += last - first
    return sum
  }
}

/** The threads of a process with the CPU time of each in µs; none if it has ended. */
function threadsOf(pid) {
  return list(`/proc/${pid}/task`).flatMap((thread) => {
    const directory = `/proc/${pid}/task/${thread}`
    const us = nanosecondsOf(directory) ?? ticksOf(directory)
    return us === undefined ? [] : [[thread, us]]
  })
}

/** In nanoseconds, where the kernel keeps them. https://docs.kernel.org/scheduler/sched-stats.html */
function nanosecondsOf(directory) {
  const text = read(`${directory}/schedstat`)
  return text === undefined ? undefined : Number(text.split(' ')[0]) / 1_000
}

/** utime and stime, fields 14 and 15 of proc_pid_stat(5); the name in field 2 may contain spaces. */
function ticksOf(directory) {
  const text = read(`${directory}/stat`)
  if (text === undefined) return undefined
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6
}

function postgresProcesses(notPostgres) {
  return list('/proc').filter((id) => {
    if (!/^\d+$/.test(id) || notPostgres.has(id)) return false
    const isPostgres = read(`/proc/${id}/comm`) === 'postgres\n'
    if (!isPostgres) notPostgres.add(id)
    return isPostgres
  })
}

/** For instance `postgres: 15/main: postgres bench 127.0.0.1(34372) idle `, or `… walwriter `. */
const readTitle = (pid) => `${(read(`/proc/${pid}/cmdline`) ?? '').replace(/[\0 ]+$/, '')} `

function list(directory) {
  return unlessGone(() => readdirSync(directory)) ?? []
}

function read(file) {
  return unlessGone(() => readFileSync(file, 'utf8'))
}

/** Undefined if the process has ended meanwhile, or there is no such file on this system. */
function unlessGone(access) {
  try {
    return access()
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined
    throw error
  }
}
