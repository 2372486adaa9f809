import { DoneFoot } from '../ui/done-foot.tsx'
import { Modal } from '../ui/modal.tsx'
import type { DialogFrame } from './dialogs.tsx'
import { SecretView } from './secret-view.tsx'

/** Shows a secret that has just been made. A click beside it does not close it: there may be no other time. */
export function NewSecretDialog(props: { frame: DialogFrame; title: string; about: string; secret: string }) {
  const { frame, title, about, secret } = props
  return (
    <Modal {...frame} title={title} description={about} isQuestion>
      <div className="dialog-body">
        <SecretView secret={secret} />
      </div>
      <DoneFoot onClose={frame.onClose} />
    </Modal>
  )
}
