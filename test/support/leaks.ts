import { redact } from '../../src/log.ts'

/** What the redactor leaves in place of a secret or token: the output of a server process has these at most. */
const redactionMark = /\[(secret|token)\]/

/**
 * The lines of a log that hold something secret: one of the `issued` secrets and tokens, anything that looks like one,
 * or the mark that the redactor put in place of one. The lines are returned redacted.
 */
export function findLeaks(log: string, issued: readonly string[]): string[] {
  const present = issued.filter((secret) => log.includes(secret))
  return log
    .split('\n')
    .filter(
      (line) =>
        redact(line) !== line || redactionMark.test(line) || present.some((secret) => line.includes(secret)),
    )
    .map((line) => present.reduce((rest, secret) => rest.replaceAll(secret, '[issued]'), redact(line)))
}
