import { DoneFoot } from '../ui/done-foot.tsx'
import { type DialogFrame, Modal } from '../ui/modal.tsx'
import { SecretView } from './secret-view.tsx'

/** Shows a new secret. A click outside does not close it, because it may be the only chance to copy it. */
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
