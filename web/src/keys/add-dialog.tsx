import { type FormEvent, useId, useRef, useState } from 'react'
import { useAction } from '../api/use-action.ts'
import { AddApiKeyDocument } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { type DialogFrame, Modal } from '../ui/modal.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { AccessChoice, accessInputOf, fullAccess } from './access-choice.tsx'
import { longestNote } from './key-note.tsx'
import { NewSecretDialog } from './new-secret-dialog.tsx'

/** Adds a key, and shows its secret. */
export function AddDialog({ frame }: { frame: DialogFrame }) {
  const add = useAction(AddApiKeyDocument)
  const [note, setNote] = useState('')
  const [choice, setChoice] = useState(fullAccess)
  const [secret, setSecret] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  const id = useId()

  async function submit(event: FormEvent) {
    event.preventDefault()
    const added = await add.run({ input: { note: note.trim() || null, access: accessInputOf(choice) } })
    if (added) setSecret(added.secret)
  }

  if (secret !== null)
    return (
      <NewSecretDialog frame={frame} title={strings.add.done} about={strings.secret.once} secret={secret} />
    )
  return (
    <Modal
      {...frame}
      title={strings.add.title}
      description={strings.add.about}
      initialFocus={input}
      isWide={choice.isRestricted}
    >
      <form onSubmit={submit} className="dialog-form">
        <div className="dialog-body">
          <div className="field">
            <label className="label" htmlFor={id}>
              {strings.add.note}
            </label>
            <input
              ref={input}
              id={id}
              className="input"
              value={note}
              maxLength={longestNote}
              autoComplete="off"
              placeholder={strings.add.noteHint}
              onChange={(event) => setNote(event.target.value)}
            />
          </div>
          <AccessChoice choice={choice} onChange={setChoice} />
          <ProblemNote problem={add.problem} />
        </div>
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={frame.onClose}>
            {strings.cancel}
          </button>
          <button type="submit" className="button primary" aria-disabled={add.isUnderWay}>
            {strings.add.submit}
          </button>
        </footer>
      </form>
    </Modal>
  )
}
