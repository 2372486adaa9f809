import { formatAgo, formatInstant } from '../format.ts'
import { useNow } from './use-now.ts'

/** How long ago something was, with when that was. */
export function Ago({ instant }: { instant: string }) {
  const now = useNow()
  return (
    <time dateTime={instant} title={formatInstant(instant)}>
      {formatAgo(instant, now)}
    </time>
  )
}
