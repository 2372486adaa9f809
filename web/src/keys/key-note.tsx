import { type FormEvent, useId, useRef, useState } from 'react'
import { useAction } from '../api/use-action.ts'
import { type ApiKeyRowFragment, SetApiKeyNoteDocument } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { Icon } from '../ui/icons.tsx'
import { usePage } from '../ui/page.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'

/** The server's limit, in characters. */
export const longestNote = 200

/** A key's note. A click edits it, Enter saves, Esc cancels. */
export function KeyNote({ apiKey: { id, note, start } }: { apiKey: ApiKeyRowFragment }) {
  const { announce, canWrite } = usePage()
  const save = useAction(SetApiKeyNoteDocument)
  /** The text being edited; null while not editing. */
  const [draft, setDraft] = useState<string | null>(null)
  const button = useRef<HTMLButtonElement>(null)
  const problemId = useId()

  function close() {
    setDraft(null)
    save.reset()
    // The button reappears with the next render.
    requestAnimationFrame(() => button.current?.focus())
  }

  async function submit(event: FormEvent) {
    event.preventDefault()
    const typed = (draft ?? '').trim()
    if (typed === (note ?? '')) return close()
    close()
    if (await save.run({ id, note: typed || null }))
      return announce(typed ? strings.note.saved : strings.note.cleared)
    setDraft(typed)
  }

  if (!canWrite) return <span className="note-text">{note}</span>
  if (draft === null)
    return (
      <button
        ref={button}
        type="button"
        className="note"
        data-empty={!note || undefined}
        aria-label={note ? strings.note.change(note) : strings.note.addTo(start)}
        onClick={() => setDraft(note ?? '')}
      >
        <span className="note-text">{note || strings.note.add}</span>
        <Icon name="pencil" />
      </button>
    )
  return (
    <form
      className="note-form"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        close()
      }}
    >
      <input
        // biome-ignore lint/a11y/noAutofocus: a click on the note starts editing it.
        autoFocus
        className="input"
        aria-label={strings.note.label}
        aria-describedby={save.problem ? problemId : undefined}
        value={draft}
        maxLength={longestNote}
        autoComplete="off"
        onFocus={(event) => event.target.select()}
        onChange={(event) => setDraft(event.target.value)}
      />
      <button
        type="submit"
        className="icon-button primary"
        aria-label={strings.note.save}
        title={strings.note.save}
      >
        <Icon name="check" />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={strings.note.cancel}
        title={strings.note.cancel}
        onClick={close}
      >
        <Icon name="close" />
      </button>
      <ProblemNote problem={save.problem} id={problemId} />
    </form>
  )
}
