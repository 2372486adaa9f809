import { useQuery } from 'urql'
import { problemOf } from '../api/problem.ts'
import { nameOf } from '../format.ts'
import { type ApiKeyRowFragment, ApiKeySecretDocument } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { DoneFoot } from '../ui/done-foot.tsx'
import { type DialogFrame, Modal } from '../ui/modal.tsx'
import { usePage } from '../ui/page.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { SecretView } from './secret-view.tsx'

/** Shows a key's secret if it is recoverable, and otherwise says how to get a new one. */
export function ShowDialog({
  apiKey,
  frame,
  onRegenerate,
}: {
  apiKey: ApiKeyRowFragment
  frame: DialogFrame
  onRegenerate: () => void
}) {
  const { canWrite } = usePage()
  // Fetched each time the dialog opens, and never in advance.
  const [{ data, error, fetching, stale }] = useQuery({
    query: ApiKeySecretDocument,
    variables: { id: apiKey.id },
    requestPolicy: 'network-only',
  })
  const isLoading = fetching || stale
  const secret = isLoading ? undefined : data?.apiKey?.secret
  const isGone = !isLoading && !error && !secret
  const problem = error ? problemOf(error) : isGone && !data?.apiKey ? strings.problems.notFound : null
  return (
    <Modal
      {...frame}
      title={isGone && !problem ? strings.secret.gone : strings.secret.showTitle}
      description={isGone && !problem ? strings.secret.goneHint : strings.secret.shown(nameOf(apiKey))}
    >
      <div className="dialog-body secret-body" data-loading={isLoading || undefined}>
        {isLoading && <p className="hint">{strings.secret.loading}</p>}
        <ProblemNote problem={problem} />
        {secret && <SecretView secret={secret} />}
      </div>
      <DoneFoot onClose={frame.onClose}>
        {isGone && !problem && canWrite && (
          <button type="button" className="button" onClick={onRegenerate}>
            {strings.regenerate.action}
          </button>
        )}
      </DoneFoot>
    </Modal>
  )
}
