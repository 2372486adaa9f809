import type { ReactNode } from 'react'
import { strings } from '../strings.ts'

/** The foot of a dialog that has nothing more to ask: what else there is to do, and the way out. */
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
