import { useCallback, useEffect, useMemo, useState } from 'react'
import { Provider, useQuery } from 'urql'
import { AccountPage } from './account/account-page.tsx'
import { useLiveUsage } from './account/use-live-usage.ts'
import type { Api } from './api/client.ts'
import { problemOf } from './api/problem.ts'
import { OverviewDocument } from './generated/graphql.ts'
import { LoadingPage, ProblemPage } from './states.tsx'
import { strings } from './strings.ts'
import { type Page, PageProvider } from './ui/page.tsx'
import { useLast } from './ui/use-last.ts'

export interface AppProps {
  api: Api
  headingLevel: number
  example: string
  layer: HTMLElement
}

export function App(props: AppProps) {
  return (
    <Provider value={props.api.client}>
      <PageOfViewer {...props} />
    </Provider>
  )
}

/** The retry interval while the server is unreachable. */
const retryMs = 5_000

const writingScopes = ['keys:write', 'admin']

function PageOfViewer({ api, headingLevel, example, layer }: AppProps) {
  const [{ data: answer, error, fetching, stale }, fetchAgain] = useQuery({ query: OverviewDocument })
  // Keep showing the last data if an answer has none, for instance because the server is unreachable.
  const data = useLast(answer)
  const [refreshes, setRefreshes] = useState(0)
  const [announcement, announce] = useAnnouncement()
  const refresh = useCallback(() => {
    setRefreshes((refreshes) => refreshes + 1)
    fetchAgain({ requestPolicy: 'network-only' })
  }, [fetchAgain])
  useLiveUsage(api, refresh)
  const isTrying = fetching || stale
  const isUnreachable = error?.networkError !== undefined
  useEffect(() => {
    if (!isUnreachable || isTrying) return
    const timer = setTimeout(refresh, retryMs)
    return () => clearTimeout(timer)
  }, [isUnreachable, isTrying, refresh])

  const canWrite = data?.viewer.scopes.some((scope) => writingScopes.includes(scope)) ?? false
  const page: Page = useMemo(
    () => ({ api, headingLevel, example, layer, canWrite, announce, refresh, refreshes }),
    [api, headingLevel, example, layer, canWrite, announce, refresh, refreshes],
  )
  const account = data?.viewer.account
  const problem = error ? problemOf(error) : data && !account ? strings.problems.noAccount : null
  return (
    <PageProvider value={page}>
      <p className="visually-hidden" role="status">
        {announcement}
      </p>
      {account ? (
        <AccountPage account={account} problem={problem} isTrying={isTrying} />
      ) : problem ? (
        <ProblemPage problem={problem} isTrying={isTrying} />
      ) : (
        <LoadingPage />
      )}
    </PageProvider>
  )
}

/** The message for screen readers. It is cleared after a while, so that repeating it announces it again. */
function useAnnouncement(): [string, (message: string) => void] {
  const [announcement, setAnnouncement] = useState('')
  useEffect(() => {
    if (!announcement) return
    const timer = setTimeout(() => setAnnouncement(''), 3_000)
    return () => clearTimeout(timer)
  }, [announcement])
  return [announcement, setAnnouncement]
}
