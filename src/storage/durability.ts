import type { Pool } from 'pg'

/** What the database's settings allow to be lost although it was committed. */
export interface DurabilityRisk {
  fsync: string
  synchronousCommit: string
  synchronousStandbyNames: string
  /** One clause for each setting. */
  consequences: string[]
}

const durabilityStatement = `
  select current_setting('fsync') as fsync, current_setting('synchronous_commit') as "synchronousCommit",
    current_setting('synchronous_standby_names') as "synchronousStandbyNames"`

/** Reads the settings as they apply to a pool's connections. Undefined if they let nothing get lost. */
export async function readDurabilityRisk(pool: Pool): Promise<DurabilityRisk | undefined> {
  const { rows } = await pool.query<Omit<DurabilityRisk, 'consequences'>>(durabilityStatement)
  const [settings] = rows
  if (!settings) return undefined
  const { fsync, synchronousCommit, synchronousStandbyNames } = settings
  const consequences: string[] = []
  if (fsync === 'off')
    consequences.push(
      'with fsync off, a crash of its machine loses counted calls and may damage the database',
    )
  if (synchronousCommit === 'off')
    consequences.push('with synchronous_commit off, any crash of it loses the calls counted just before')
  if (synchronousStandbyNames !== '' && ['local', 'remote_write'].includes(synchronousCommit))
    consequences.push(
      `with synchronous_commit ${synchronousCommit}, a commit does not wait until a standby has stored it, so a ` +
        'failover may lose counted calls',
    )
  return consequences.length > 0 ? { ...settings, consequences } : undefined
}
