import { useEffect, useRef, useState } from 'react'
import { useQuery } from 'urql'
import { pageSize } from '../api/cache.ts'
import { problemOf } from '../api/problem.ts'
import { formatNumber } from '../format.ts'
import { ApiKeysPageDocument } from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { Icon } from '../ui/icons.tsx'
import { usePage } from '../ui/page.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { useLast } from '../ui/use-last.ts'
import { KeyRow, type OnAction } from './key-row.tsx'
import { SkeletonRows } from './skeleton.tsx'

/** The search field appears from this many keys on. */
const searchableFrom = 8
const searchWaitMs = 200

/** All `total` keys of the account. */
export function KeyList({ total, onAction }: { total: number; onAction: OnAction }) {
  const [typed, setTyped] = useState('')
  const search = useSettled(typed.trim(), searchWaitMs)
  const { columns } = strings.list
  return (
    <section className="card keys" aria-label={strings.list.label}>
      {(total >= searchableFrom || typed !== '') && (
        <div className="keys-tools">
          <label className="search">
            <Icon name="search" />
            <input
              type="search"
              className="input"
              placeholder={strings.list.search}
              aria-label={strings.list.searching}
              value={typed}
              maxLength={200}
              autoComplete="off"
              onChange={(event) => setTyped(event.target.value)}
            />
          </label>
          <Found search={search} />
        </div>
      )}
      <div className="row row-head" aria-hidden="true">
        <span>{columns.key}</span>
        <span>{columns.access}</span>
        <span className="cell-calls">{columns.calls}</span>
        <span>{columns.lastCall}</span>
        <span>{columns.added}</span>
        <span />
      </div>
      <ul className="rows" aria-label={strings.list.label}>
        <Rows search={search} after={null} onAction={onAction} />
      </ul>
    </section>
  )
}

/** A page of rows, followed by the next pages, each fetched when it is about to scroll into view. */
function Rows({ search, after, onAction }: { search: string; after: string | null; onAction: OnAction }) {
  const { connection, problem } = usePageOfKeys(search, after)
  const [isWanted, setWanted] = useState(false)
  if (!connection)
    return problem ? (
      <li>
        <ProblemNote problem={problem} />
      </li>
    ) : (
      <SkeletonRows count={after ? 3 : 2} />
    )
  const { nodes, pageInfo } = connection
  return (
    <>
      {nodes.map((apiKey) => (
        <KeyRow key={apiKey.id} apiKey={apiKey} onAction={onAction} />
      ))}
      {nodes.length === 0 && !after && <Empty search={search} />}
      {pageInfo.hasNextPage &&
        (isWanted ? (
          <Rows key={search} search={search} after={pageInfo.endCursor ?? null} onAction={onAction} />
        ) : (
          <NextPage onNear={() => setWanted(true)} />
        ))}
    </>
  )
}

/** The current page; while it is refetched, the previous state. */
function usePageOfKeys(search: string, after: string | null) {
  const { refreshes } = usePage()
  const [{ data, error }, fetchAgain] = useQuery({
    query: ApiKeysPageDocument,
    variables: { first: pageSize, after, search: search || null },
  })
  const seen = useRef(refreshes)
  useEffect(() => {
    if (seen.current !== refreshes) fetchAgain({ requestPolicy: 'network-only' })
    seen.current = refreshes
  }, [refreshes, fetchAgain])
  const connection = useLast(data?.viewer.account?.apiKeys)
  return { connection, problem: error ? problemOf(error) : null }
}

/** Placeholder rows for the next page, which is fetched when they are about to scroll into view. */
function NextPage({ onNear }: { onNear: () => void }) {
  const place = useRef<HTMLLIElement>(null)
  const near = useRef(onNear)
  near.current = onNear
  useEffect(() => {
    if (!place.current) return
    const observer = new IntersectionObserver(
      (entries) => entries.some(({ isIntersecting }) => isIntersecting) && near.current(),
      { rootMargin: '1200px 0px' },
    )
    observer.observe(place.current)
    return () => observer.disconnect()
  }, [])
  return (
    <li ref={place} className="next-page">
      <button type="button" className="button" onClick={onNear}>
        {strings.list.loadingMore}
      </button>
    </li>
  )
}

function Found({ search }: { search: string }) {
  const { connection } = usePageOfKeys(search, null)
  const count = connection?.totalCount ?? 0
  return (
    <p className="hint found" role="status">
      {search && connection ? strings.list.found(count, formatNumber(count)) : ''}
    </p>
  )
}

function Empty({ search }: { search: string }) {
  return (
    <li className="empty">
      <span className="empty-icon">
        <Icon name={search ? 'search' : 'key'} />
      </span>
      <strong>{search ? strings.list.nothingFound : strings.list.empty}</strong>
      {!search && <span className="hint">{strings.list.emptyHint}</span>}
    </li>
  )
}

/** The value, debounced. */
function useSettled<Value>(value: Value, waitMs: number): Value {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), waitMs)
    return () => clearTimeout(timer)
  }, [value, waitMs])
  return settled
}
