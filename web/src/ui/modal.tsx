import { AlertDialog } from '@base-ui/react/alert-dialog'
import { Dialog } from '@base-ui/react/dialog'
import type { ReactNode, RefObject } from 'react'
import { strings } from '../strings.ts'
import { Icon } from './icons.tsx'
import { usePage } from './page.tsx'

export interface ModalProps {
  open: boolean
  onClose(): void
  /** Called when it has gone from sight. */
  onClosed(): void
  title: string
  description?: ReactNode
  /** Where the focus goes when it closes. */
  finalFocus: () => HTMLElement | null
  initialFocus?: RefObject<HTMLElement | null> | undefined
  /** It asks a question that wants an answer: a click beside it does not close it. */
  isQuestion?: boolean | undefined
  isWide?: boolean | undefined
  children: ReactNode
}

/** A dialog above the page: it keeps the focus within, and gives it back. */
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
