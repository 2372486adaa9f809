/** METER_TIMEOUT_MS as it comes. */
export const meterTimeoutMs = 2_000

/** From the database's return to calls that are admitted again. */
export const recoveryMs = 2_000

/** What a machine that is busy with tests may add to any time that is measured on it. */
export const slackMs = 1_500
