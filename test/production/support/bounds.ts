/** METER_TIMEOUT_MS by default. */
export const meterTimeoutMs = 2_000

/** How soon calls are admitted again after the database is back. */
export const recoveryMs = 2_000

/** Added to every bound on a time, because the machine is busy with other tests. */
export const slackMs = 1_500
