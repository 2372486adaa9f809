import { useId, useMemo, useState } from 'react'
import { useQuery } from 'urql'
import { problemOf } from '../api/problem.ts'
import { formatNumber } from '../format.ts'
import {
  type ApiKeyAccessInput,
  type ApiKeyRowFragment,
  CatalogueDocument,
  type CatalogueQuery,
} from '../generated/graphql.ts'
import { strings } from '../strings.ts'
import { Icon } from '../ui/icons.tsx'
import { ProblemNote } from '../ui/problem-note.tsx'
import { Tick } from '../ui/tick.tsx'

type ApiCall = CatalogueQuery['apiCalls'][number]

/** The selection. The selected calls are kept while full access is selected. */
export interface Choice {
  isRestricted: boolean
  /** Names of API calls. */
  chosen: ReadonlySet<string>
}

export const fullAccess: Choice = { isRestricted: false, chosen: new Set() }

export const choiceOf = ({ mode, apiCalls }: ApiKeyRowFragment['access']): Choice => ({
  isRestricted: mode === 'RESTRICTED',
  chosen: new Set(apiCalls.map(({ name }) => name)),
})

export const accessInputOf = ({ isRestricted, chosen }: Choice): ApiKeyAccessInput =>
  isRestricted ? { mode: 'RESTRICTED', apiCalls: [...chosen] } : { mode: 'FULL' }

interface ChoiceProps {
  choice: Choice
  onChange: (choice: Choice) => void
  disabled?: boolean
}

/** Chooses between full access and selected calls. */
export function AccessChoice({ choice, onChange, disabled = false }: ChoiceProps) {
  const name = useId()
  const options = [
    { isRestricted: false, label: strings.access.fullLabel, hint: strings.access.fullHint },
    { isRestricted: true, label: strings.access.chosenLabel, hint: strings.access.chosenHint },
  ]
  return (
    <fieldset className="access-choice" disabled={disabled}>
      <legend className="label">{strings.access.label}</legend>
      <div className="modes">
        {options.map(({ isRestricted, label, hint }) => (
          <label key={label} className="mode">
            <input
              type="radio"
              name={name}
              checked={choice.isRestricted === isRestricted}
              onChange={() => onChange({ ...choice, isRestricted })}
            />
            <span>
              <span className="mode-label">{label}</span>
              <span className="hint">{hint}</span>
            </span>
          </label>
        ))}
      </div>
      {choice.isRestricted && (
        <ChosenCalls chosen={choice.chosen} onChange={(chosen) => onChange({ isRestricted: true, chosen })} />
      )}
    </fieldset>
  )
}

function ChosenCalls({
  chosen,
  onChange,
}: {
  chosen: ReadonlySet<string>
  onChange: (chosen: ReadonlySet<string>) => void
}) {
  const [{ data, error }] = useQuery({ query: CatalogueDocument, requestPolicy: 'cache-first' })
  const [search, setSearch] = useState('')
  const all = data?.apiCalls
  const found = useMemo(() => (all ? matching(all, search) : []), [all, search])
  if (error) return <ProblemNote problem={problemOf(error)} />
  if (!all) return <p className="hint loading-calls">{strings.access.loading}</p>

  /** Selects all of these, or deselects them if all were selected. */
  function toggle(calls: readonly ApiCall[]) {
    const names = calls.map(({ name }) => name)
    const rest = [...chosen].filter((name) => !names.includes(name))
    onChange(new Set(names.every((name) => chosen.has(name)) ? rest : [...rest, ...names]))
  }
  const reads = found.filter(({ kind }) => kind === 'READ')
  const inCatalogue = all.filter(({ name }) => chosen.has(name)).length
  return (
    <div className="calls">
      <div className="calls-head">
        <label className="search">
          <Icon name="search" />
          <input
            type="search"
            className="input"
            placeholder={strings.access.search}
            aria-label={strings.access.search}
            value={search}
            autoComplete="off"
            onChange={(event) => setSearch(event.target.value)}
            onKeyDown={(event) => event.key === 'Enter' && event.preventDefault()}
          />
        </label>
        <p className="calls-count" role="status">
          {strings.access.chosen(formatNumber(inCatalogue), formatNumber(all.length))}
        </p>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard. */}
      <section className="calls-list" aria-label={strings.access.chosenLabel} tabIndex={0}>
        {reads.length > 0 && (
          <Tick of={reads} chosen={chosen} onToggle={() => toggle(reads)} className="all-reads">
            {strings.access.allReads}
          </Tick>
        )}
        {byCategory(found).map(([category, calls]) => (
          <fieldset key={category} className="category">
            <legend className="visually-hidden">{category}</legend>
            <Tick of={calls} chosen={chosen} onToggle={() => toggle(calls)} className="category-tick">
              {category}
            </Tick>
            {calls.map((call) => (
              <Tick key={call.id} of={[call]} chosen={chosen} onToggle={() => toggle([call])}>
                <span className="call-title">{call.title}</span>
                <code className="call-name">{call.name}</code>
                <span className="kind" data-kind={call.kind}>
                  {call.kind === 'READ' ? strings.access.reads : strings.access.writes}
                </span>
              </Tick>
            ))}
          </fieldset>
        ))}
        {found.length === 0 && <p className="hint nothing">{strings.access.nothingFound}</p>}
      </section>
      <p className="hint none-chosen" data-shown={chosen.size === 0 || undefined}>
        {chosen.size === 0 ? strings.access.none : ''}
      </p>
    </div>
  )
}

function matching(calls: readonly ApiCall[], search: string): ApiCall[] {
  const words = search.toLocaleLowerCase().split(/\s+/)
  return calls.filter(({ name, title, category }) => {
    const text = `${name} ${title} ${category}`.toLocaleLowerCase()
    return words.every((word) => text.includes(word))
  })
}

/** In the catalogue's order. */
function byCategory(calls: readonly ApiCall[]): [string, ApiCall[]][] {
  const categories = new Map<string, ApiCall[]>()
  for (const call of calls) {
    const known = categories.get(call.category)
    if (known) known.push(call)
    else categories.set(call.category, [call])
  }
  return [...categories]
}
