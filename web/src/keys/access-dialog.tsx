import { type FormEvent, useState } from 'react'
import { useAction } from '../api/use-action.ts'
import { nameOf } from '../format.ts'
import { type ApiKeyRowFragment, ConfigureApiKeyAccessDocument } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { type DialogFrame, Modal } from '../ui/modal.tsx'
import { usePage } from '../ui/page.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { AccessChoice, accessInputOf, choiceOf } from './access-choice.tsx'

/** Edits what a key may call. */
export function AccessDialog({ apiKey, frame }: { apiKey: ApiKeyRowFragment; frame: DialogFrame }) {
  const { announce, canWrite } = usePage()
  const configure = useAction(ConfigureApiKeyAccessDocument)
  const [choice, setChoice] = useState(() => choiceOf(apiKey.access))

  async function submit(event: FormEvent) {
    event.preventDefault()
    if (!(await configure.run({ id: apiKey.id, access: accessInputOf(choice) }))) return
    announce(strings.access.saved)
    frame.onClose()
  }

  return (
    <Modal {...frame} title={strings.access.title} description={strings.access.about(nameOf(apiKey))} isWide>
      <form onSubmit={submit} className="dialog-form">
        <div className="dialog-body">
          <AccessChoice choice={choice} onChange={setChoice} disabled={!canWrite} />
          <ProblemNote problem={configure.problem} />
        </div>
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={frame.onClose}>
            {canWrite ? strings.cancel : strings.close}
          </button>
          {canWrite && (
            <button type="submit" className="button primary" aria-disabled={configure.isUnderWay}>
              {strings.access.save}
            </button>
          )}
        </footer>
      </form>
    </Modal>
  )
}
