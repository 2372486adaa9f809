import { useId, useRef } from 'react'
import type { Problem } from '../api/problem.ts'
import { formatNumber } from '../format.ts'
import { useDialogs } from '../keys/dialogs.tsx'
import { KeyList } from '../keys/key-list.tsx'
import { ProblemBanner } from '../states.tsx'
import { strings } from '../strings.ts'
import { Heading } from '../ui/heading.tsx'
import { Icon } from '../ui/icons.tsx'
import { usePage } from '../ui/page.tsx'
import { LiveBadge, useLiveState } from './live-badge.tsx'
import { type Account, Summary } from './summary.tsx'

/** An account's page: its counts, its keys, and the actions on them. */
export function AccountPage({
  account,
  problem,
  isTrying,
}: {
  account: Account
  problem: Problem | null
  isTrying: boolean
}) {
  const { api } = usePage()
  const heading = useRef<HTMLHeadingElement>(null)
  const { show, onAction, dialog } = useDialogs(heading)
  const state = useLiveState(api.live)
  const isBehind = state === 'reconnecting' || state === 'offline'
  return (
    <div className="page">
      <header className="page-head">
        <div className="page-title">
          <Heading ref={heading} tabIndex={-1}>
            {strings.title}
          </Heading>
          <LiveBadge state={state} />
          <p className="intro" data-warning={isBehind || undefined}>
            {isBehind ? strings.live.about[state] : strings.intro(account.name)}
          </p>
        </div>
        <AddButton account={account} onAdd={(from) => show({ action: 'add' }, from)} />
      </header>
      {problem && <ProblemBanner problem={problem} isTrying={isTrying} />}
      <Summary
        account={account}
        onHistory={(from) => show({ action: 'account-history', month: account.usage.month }, from)}
      />
      <KeyList total={account.apiKeys.totalCount} onAction={onAction} />
      {dialog}
    </div>
  )
}

/** At the plan's limit it is disabled and says why, but stays reachable by keyboard. */
function AddButton({ account, onAdd }: { account: Account; onAdd: (from: HTMLElement) => void }) {
  const { canWrite } = usePage()
  const reasonId = useId()
  const { plan, apiKeysRemaining } = account
  const reason = canWrite
    ? apiKeysRemaining === 0 && strings.add.limit(plan.name, plan.maxApiKeys, formatNumber(plan.maxApiKeys))
    : strings.add.readOnly
  return (
    <div className="add">
      <button
        type="button"
        className="button primary"
        aria-disabled={Boolean(reason)}
        aria-describedby={reason ? reasonId : undefined}
        onClick={(event) => reason || onAdd(event.currentTarget)}
      >
        <Icon name="plus" />
        {strings.add.button}
      </button>
      {reason && (
        <p className="add-reason" id={reasonId}>
          {reason}
        </p>
      )}
    </div>
  )
}
