import { Meter } from '@base-ui/react/meter'
import { formatMonth, formatNumber, formatUtc } from '../format.ts'
import type { OverviewQuery } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { Count } from '../ui/count.tsx'
import { Icon } from '../ui/icons.tsx'

export type Account = NonNullable<OverviewQuery['viewer']['account']>

/** The account's calls this month against its quota, and its keys against the plan's limit. */
export function Summary({
  account,
  onHistory,
}: {
  account: Account
  onHistory: (from: HTMLElement) => void
}) {
  const { usage, plan, apiKeys } = account
  const { calls, quota, month, resetsAt } = usage
  const left = quota === null || quota === undefined ? null : Math.max(quota - calls, 0)
  return (
    <div className="summary">
      <section className="card stat stat-calls" aria-label={strings.usage.heading(formatMonth(month))}>
        <p className="stat-label">
          {strings.usage.heading(formatMonth(month))} <abbr className="utc">{strings.usage.utc}</abbr>
        </p>
        <p className="stat-value">
          <Count value={calls} />{' '}
          {left !== null && <small>{strings.usage.ofQuota(formatNumber(quota ?? 0))}</small>}
        </p>
        {left === null ? null : <UsedOf label={strings.usage.meter} value={calls} most={quota ?? 0} />}
        <p className="stat-foot" data-warning={left === 0 || undefined}>
          <span>{leftOf(left)}</span>
          <span aria-hidden="true"> · </span>
          <time dateTime={resetsAt}>{strings.usage.resets(formatUtc(resetsAt))}</time>
        </p>
        <button
          type="button"
          className="button stat-action"
          aria-label={strings.usage.historyOfAccount}
          onClick={(event) => onHistory(event.currentTarget)}
        >
          <Icon name="chart" />
          <span className="stat-action-text">{strings.usage.history}</span>
        </button>
      </section>
      <section className="card stat stat-keys" aria-label={strings.plan.heading}>
        <p className="stat-label">{strings.plan.heading}</p>
        <p className="stat-value">
          {formatNumber(apiKeys.totalCount)}{' '}
          <small>{strings.plan.ofKeys(plan.maxApiKeys, formatNumber(plan.maxApiKeys))}</small>
        </p>
        <UsedOf label={strings.plan.meter} value={apiKeys.totalCount} most={plan.maxApiKeys} isCalm />
        <p className="stat-foot">{strings.plan.name(plan.name)}</p>
      </section>
    </div>
  )
}

function leftOf(left: number | null): string {
  if (left === null) return strings.usage.unlimited
  return left === 0 ? strings.usage.usedUp : strings.usage.left(left, formatNumber(left))
}

/** A usage meter. It is highlighted when nearly full, unless that is harmless. */
function UsedOf({
  label,
  value,
  most,
  isCalm,
}: {
  label: string
  value: number
  most: number
  isCalm?: boolean
}) {
  const share = most > 0 ? Math.min(value / most, 1) : 1
  const level = share >= 1 ? 'full' : share >= 0.8 ? 'high' : 'low'
  return (
    <Meter.Root
      value={Math.min(value, most)}
      max={most}
      aria-label={label}
      getAriaValueText={() => `${formatNumber(value)} ${strings.usage.ofQuota(formatNumber(most))}`}
    >
      <Meter.Track className="meter" data-level={isCalm ? 'low' : level}>
        <div
          className="meter-fill"
          data-empty={value === 0 || undefined}
          style={{ inlineSize: `${share * 100}%` }}
        />
      </Meter.Track>
    </Meter.Root>
  )
}
