import { memo } from 'react'
import { formatDay, formatInstant, formatNumber, nameOf } from '../format.ts'
import type { ApiKeyRowFragment } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { Ago } from '../ui/ago.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import { Count } from '../ui/count.tsx'
import { Icon, type IconName } from '../ui/icons.tsx'
import { usePage } from '../ui/page.tsx'
import { KeyNote } from './key-note.tsx'

export type KeyAction = 'show' | 'access' | 'history' | 'regenerate' | 'remove'

/** Opens the dialog of an action; `from` gets the focus back when it closes. */
export type OnAction = (action: KeyAction, apiKey: ApiKeyRowFragment, from: HTMLElement | null) => void

/** One key, with all its actions. */
export const KeyRow = memo(function KeyRow({
  apiKey,
  onAction,
}: {
  apiKey: ApiKeyRowFragment
  onAction: OnAction
}) {
  const { canWrite } = usePage()
  const { columns } = strings.list
  const open = (action: KeyAction) => (from: HTMLElement | null) => onAction(action, apiKey, from)
  return (
    <li className="row" data-key={apiKey.id}>
      <div className="cell cell-key">
        <KeyNote apiKey={apiKey} />
        <span className="start">
          <code>{apiKey.start}…</code>
          <CopyButton value={apiKey.start} label={strings.copy.start} />
        </span>
      </div>
      <div className="cell cell-access">
        <span className="cell-label">{columns.access}</span>
        <AccessButton apiKey={apiKey} onOpen={open('access')} />
      </div>
      <div className="cell cell-calls">
        <span className="cell-label">{columns.calls}</span>
        <Count value={apiKey.usage.calls} />
      </div>
      <div className="cell cell-last">
        <span className="cell-label">{columns.lastCall}</span>
        {apiKey.lastCallAt ? <Ago instant={apiKey.lastCallAt} /> : <span>{strings.list.never}</span>}
      </div>
      <div className="cell cell-added">
        <span className="cell-label">{columns.added}</span>
        <time dateTime={apiKey.createdAt} title={formatInstant(apiKey.createdAt)}>
          {formatDay(apiKey.createdAt)}
        </time>
      </div>
      <div className="cell cell-actions">
        {actions
          .filter(({ writes }) => canWrite || !writes)
          .map(({ action, icon, label, short, describe }) => (
            <button
              key={action}
              type="button"
              className={action === 'show' ? 'button' : 'icon-button tipped'}
              data-action={action}
              aria-label={describe(nameOf(apiKey))}
              onClick={(event) => open(action)(event.currentTarget)}
            >
              <Icon name={icon} />
              <span className="action-label">{label}</span>
              {short && <span className="action-short">{short}</span>}
            </button>
          ))}
      </div>
    </li>
  )
})

const { showOf, show } = strings.secret
const actions: {
  action: KeyAction
  icon: IconName
  label: string
  /** The visible label in narrow layouts. */
  short?: string
  describe: (key: string) => string
  writes: boolean
}[] = [
  { action: 'show', icon: 'eye', label: show, describe: showOf, writes: false },
  {
    action: 'history',
    icon: 'chart',
    label: strings.history.action,
    short: strings.history.action,
    describe: strings.history.actionOf,
    writes: false,
  },
  {
    action: 'regenerate',
    icon: 'refresh',
    label: strings.regenerate.action,
    short: strings.regenerate.short,
    describe: strings.regenerate.actionOf,
    writes: true,
  },
  {
    action: 'remove',
    icon: 'trash',
    label: strings.remove.action,
    short: strings.remove.short,
    describe: strings.remove.actionOf,
    writes: true,
  },
]

function AccessButton({
  apiKey,
  onOpen,
}: {
  apiKey: ApiKeyRowFragment
  onOpen: (from: HTMLElement) => void
}) {
  const { mode, apiCalls } = apiKey.access
  const isRestricted = mode === 'RESTRICTED'
  const text = isRestricted
    ? strings.access.restricted(apiCalls.length, formatNumber(apiCalls.length))
    : strings.access.full
  return (
    <button
      type="button"
      className="button access"
      data-restricted={isRestricted || undefined}
      aria-label={strings.access.configureOf(text, nameOf(apiKey))}
      title={strings.access.configure}
      onClick={(event) => onOpen(event.currentTarget)}
    >
      {isRestricted && <Icon name="lock" />}
      {text}
    </button>
  )
}
