import type { ReactNode } from 'react'
import { strings } from '../strings.ts'

/** The footer of a finished dialog: further actions, and a button to close it. */
export function DoneFoot({ onClose, children }: { onClose: () => void; children?: ReactNode }) {
  return (
    <footer className="dialog-foot">
      {children}
      <button type="button" className="button primary" onClick={onClose}>
        {strings.done}
      </button>
    </footer>
  )
}
