import { type RefObject, useCallback, useRef, useState } from 'react'
import type { ApiKeyRowFragment } from '../generated/graphql.ts'
import { AccountHistoryDialog, KeyHistoryDialog } from '../history/history-dialog.tsx'
import type { DialogFrame } from '../ui/modal.tsx'
import { AccessDialog } from './access-dialog.tsx'
import { AddDialog } from './add-dialog.tsx'
import type { KeyAction, OnAction } from './key-row.tsx'
import { RegenerateDialog, RemoveDialog } from './replace-dialogs.tsx'
import { ShowDialog } from './show-dialog.tsx'

type Shown =
  | { action: 'add' }
  | { action: 'account-history'; month: string }
  | { action: KeyAction; apiKey: ApiKeyRowFragment }

/**
 * The open dialog, if any. It stays mounted until its closing animation ends, then returns the focus to the element
 * that opened it, or to `fallback` if that element is gone.
 */
export function useDialogs(fallback: RefObject<HTMLElement | null>) {
  const [shown, setShown] = useState<Shown | null>(null)
  const [open, setOpen] = useState(false)
  const opener = useRef<HTMLElement | null>(null)

  const show = useCallback((next: Shown, from: HTMLElement | null) => {
    opener.current = from
    setShown(next)
    setOpen(true)
  }, [])
  const onAction: OnAction = useCallback((action, apiKey, from) => show({ action, apiKey }, from), [show])

  const frame: DialogFrame = {
    open,
    onClose: () => setOpen(false),
    onClosed: () => setShown(null),
    finalFocus: () => (opener.current?.isConnected ? opener.current : fallback.current),
  }
  const dialog = shown && (
    <DialogOf
      key={shown.action}
      shown={shown}
      frame={frame}
      onRegenerate={(apiKey) => setShown({ action: 'regenerate', apiKey })}
    />
  )
  return { show, onAction, dialog }
}

function DialogOf({
  shown,
  frame,
  onRegenerate,
}: {
  shown: Shown
  frame: DialogFrame
  onRegenerate: (apiKey: ApiKeyRowFragment) => void
}) {
  switch (shown.action) {
    case 'add':
      return <AddDialog frame={frame} />
    case 'account-history':
      return <AccountHistoryDialog month={shown.month} frame={frame} />
    case 'show':
      return <ShowDialog {...shown} frame={frame} onRegenerate={() => onRegenerate(shown.apiKey)} />
    case 'access':
      return <AccessDialog {...shown} frame={frame} />
    case 'history':
      return <KeyHistoryDialog {...shown} frame={frame} />
    case 'regenerate':
      return <RegenerateDialog {...shown} frame={frame} />
    case 'remove':
      return <RemoveDialog {...shown} frame={frame} />
  }
}
