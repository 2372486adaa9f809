import { formatAgo, formatInstant } from '../format.ts'
import { useNow } from './use-now.ts'

/** A relative time, with the exact time as its title. */
export function Ago({ instant }: { instant: string }) {
  const now = useNow()
  return (
    <time dateTime={instant} title={formatInstant(instant)}>
      {formatAgo(instant, now)}
    </time>
  )
}
