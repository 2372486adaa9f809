import type { ReactNode } from 'react'
import { useQuery } from 'urql'
import { problemOf } from '../api/problem.ts'
import { formatMonth, formatNumber, monthsUpTo, nameOf } from '../format.ts'
import {
  AccountHistoryDocument,
  type AccountHistoryQueryVariables,
  ApiKeyHistoryDocument,
  type ApiKeyRowFragment,
} from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { Count } from '../ui/count.tsx'
import { DoneFoot } from '../ui/done-foot.tsx'
import { Icon } from '../ui/icons.tsx'
import { type DialogFrame, Modal } from '../ui/modal.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { BarChart } from './bar-chart.tsx'
import { downloadCsv, type MonthOfCalls } from './csv.ts'

const monthCount = 12

export function KeyHistoryDialog({ apiKey, frame }: { apiKey: ApiKeyRowFragment; frame: DialogFrame }) {
  const [{ data, error }] = useQuery({ query: ApiKeyHistoryDocument, variables: { id: apiKey.id } })
  const problem = error ? problemOf(error) : data && !data.apiKey ? strings.problems.notFound : null
  return (
    <History
      frame={frame}
      about={strings.history.ofKey(nameOf(apiKey))}
      file={strings.history.file(apiKey.start)}
      months={data?.apiKey?.usageHistory}
      problem={<ProblemNote problem={problem} />}
    />
  )
}

export function AccountHistoryDialog({ month, frame }: { month: string; frame: DialogFrame }) {
  const variables = Object.fromEntries(
    monthsUpTo(month, monthCount).map((month, index) => [`month${index}`, month]),
  ) as AccountHistoryQueryVariables
  const [{ data, error }] = useQuery({ query: AccountHistoryDocument, variables })
  const months = Object.values(data?.viewer.account ?? {}).filter((value) => typeof value === 'object')
  return (
    <History
      frame={frame}
      about={strings.history.ofAccount}
      file={strings.history.file(strings.history.account)}
      months={data && months}
      problem={<ProblemNote problem={error ? problemOf(error) : null} />}
    />
  )
}

/** Twelve months, newest first, as a chart, a table and a CSV download. */
function History({
  frame,
  about,
  file,
  months,
  problem,
}: {
  frame: DialogFrame
  about: string
  file: string
  months: readonly MonthOfCalls[] | undefined
  problem: ReactNode
}) {
  const { month, calls, total, soFar, title, download, loading } = strings.history
  return (
    <Modal {...frame} title={title} description={about} isWide>
      <div className="dialog-body">
        {problem}
        {months ? (
          <div className="history">
            <BarChart months={months.toReversed()} />
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard. */}
            <section className="history-table" aria-label={title} tabIndex={0}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{month}</th>
                    <th scope="col">{calls}</th>
                  </tr>
                </thead>
                <tbody>
                  {months.map(({ month, calls }, index) => (
                    <tr key={month}>
                      <th scope="row">
                        {formatMonth(month)} {index === 0 && <span className="hint">{soFar}</span>}
                      </th>
                      <td>
                        <Count value={calls} />
                      </td>
                    </tr>
                  ))}
                </tbody>
                <tfoot>
                  <tr>
                    <th scope="row">{total}</th>
                    <td>{formatNumber(months.reduce((sum, { calls }) => sum + calls, 0))}</td>
                  </tr>
                </tfoot>
              </table>
            </section>
          </div>
        ) : (
          <p className="hint history-loading">{loading}</p>
        )}
      </div>
      <DoneFoot onClose={frame.onClose}>
        {months && (
          <button type="button" className="button start-of-foot" onClick={() => downloadCsv(file, months)}>
            <Icon name="download" />
            {download}
          </button>
        )}
      </DoneFoot>
    </Modal>
  )
}
