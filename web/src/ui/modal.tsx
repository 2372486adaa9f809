import { AlertDialog } from '@base-ui/react/alert-dialog'
import { Dialog } from '@base-ui/react/dialog'
import type { ReactNode, RefObject } from 'react'
import { strings } from '../strings.ts'
import { Icon } from './icons.tsx'
import { usePage } from './page.tsx'

export interface ModalProps {
  open: boolean
  onClose(): void
  /** Called after the closing animation. */
  onClosed(): void
  title: string
  description?: ReactNode
  /** Receives the focus when the dialog closes. */
  finalFocus: () => HTMLElement | null
  initialFocus?: RefObject<HTMLElement | null> | undefined
  /** Requires an answer: a click outside does not close it. */
  isQuestion?: boolean | undefined
  isWide?: boolean | undefined
  children: ReactNode
}

/** What whoever opens a dialog passes through to its modal. */
export type DialogFrame = Pick<ModalProps, 'open' | 'onClose' | 'onClosed' | 'finalFocus'>

/** A modal dialog. It traps the focus, and returns it when it closes. */
export function Modal(props: ModalProps) {
  const {
    open,
    onClose,
    onClosed,
    title,
    description,
    finalFocus,
    initialFocus,
    isQuestion,
    isWide,
    children,
  } = props
  const { layer } = usePage()
  const Parts = isQuestion ? AlertDialog : Dialog
  return (
    <Parts.Root
      open={open}
      onOpenChange={(isOpen) => isOpen || onClose()}
      onOpenChangeComplete={(isOpen) => isOpen || onClosed()}
    >
      <Parts.Portal container={layer}>
        <Parts.Backdrop className="backdrop" />
        <Parts.Viewport className="viewport">
          <Parts.Popup
            className={isWide ? 'dialog wide' : 'dialog'}
            aria-modal="true"
            finalFocus={finalFocus}
            {...(initialFocus ? { initialFocus } : {})}
          >
            <header className="dialog-head">
              <Parts.Title className="dialog-title">{title}</Parts.Title>
              {!isQuestion && (
                <Parts.Close className="icon-button" aria-label={strings.close}>
                  <Icon name="close" />
                </Parts.Close>
              )}
              {description && <Parts.Description className="dialog-about">{description}</Parts.Description>}
            </header>
            {children}
          </Parts.Popup>
        </Parts.Viewport>
      </Parts.Portal>
    </Parts.Root>
  )
}
