import { useState } from 'react'
import { useAction } from '../api/use-action.ts'
import { formatAgo, formatInstant, nameOf } from '../format.ts'
import {
  type ApiKeyRowFragment,
  RegenerateApiKeyDocument,
  RemoveApiKeyDocument,
} from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { type DialogFrame, Modal } from '../ui/modal.tsx'
import { usePage } from '../ui/page.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { useNow } from '../ui/use-now.ts'
import { NewSecretDialog } from './new-secret-dialog.tsx'

interface KeyDialogProps {
  apiKey: ApiKeyRowFragment
  frame: DialogFrame
}

/** Confirms re-generating a key, and shows the new secret. */
export function RegenerateDialog({ apiKey, frame }: KeyDialogProps) {
  const regenerate = useAction(RegenerateApiKeyDocument)
  const [secret, setSecret] = useState<string | null>(null)
  if (secret !== null)
    return (
      <NewSecretDialog
        frame={frame}
        title={strings.secret.regenerated}
        about={strings.secret.regeneratedAbout}
        secret={secret}
      />
    )
  return (
    <Question
      apiKey={apiKey}
      frame={frame}
      words={strings.regenerate}
      action={regenerate}
      onConfirm={async () => setSecret((await regenerate.run({ id: apiKey.id }))?.secret ?? null)}
    />
  )
}

/** Confirms removing a key. */
export function RemoveDialog({ apiKey, frame }: KeyDialogProps) {
  const { announce } = usePage()
  const remove = useAction(RemoveApiKeyDocument)
  return (
    <Question
      apiKey={apiKey}
      frame={frame}
      words={strings.remove}
      action={remove}
      onConfirm={async () => {
        if (!(await remove.run({ id: apiKey.id }))) return
        announce(strings.remove.done(nameOf(apiKey)))
        frame.onClose()
      }}
    />
  )
}

/** Names the key, and says what stops working and when the key was last used. */
function Question({
  apiKey,
  frame,
  words,
  action,
  onConfirm,
}: KeyDialogProps & {
  words: { title: string; about: (key: string) => string; confirm: string }
  action: Pick<ReturnType<typeof useAction>, 'isUnderWay' | 'problem'>
  onConfirm: () => Promise<void>
}) {
  const now = useNow()
  const { lastCallAt } = apiKey
  return (
    <Modal
      {...frame}
      title={words.title}
      isQuestion
      description={
        <>
          {words.about(nameOf(apiKey))}
          <strong className="last-called">
            {lastCallAt
              ? strings.lastCalled.at(formatAgo(lastCallAt, now), formatInstant(lastCallAt))
              : strings.lastCalled.never}
          </strong>
        </>
      }
    >
      {action.problem && (
        <div className="dialog-body">
          <ProblemNote problem={action.problem} />
        </div>
      )}
      <footer className="dialog-foot">
        <button type="button" className="button" onClick={frame.onClose}>
          {strings.cancel}
        </button>
        <button type="button" className="button danger" aria-disabled={action.isUnderWay} onClick={onConfirm}>
          {words.confirm}
        </button>
      </footer>
    </Modal>
  )
}
