import type { Problem } from './api/problem.ts'
import { SkeletonRows } from './keys/skeleton.tsx'
import { strings } from './strings.ts'
import { Heading } from './ui/heading.tsx'
import { Icon } from './ui/icons.tsx'
import { usePage } from './ui/page.tsx'

/** Shown while loading: placeholders of the same size as the content. */
export function LoadingPage() {
  return (
    <div className="page" aria-busy="true">
      <header className="page-head">
        <div className="page-title">
          <Heading>{strings.title}</Heading>
          <p className="intro">{strings.loading}</p>
        </div>
        <div className="add" aria-hidden="true">
          <span className="bone bone-add" />
        </div>
      </header>
      <div className="summary" aria-hidden="true">
        {['calls', 'keys'].map((stat) => (
          <div key={stat} className={`card stat stat-${stat}`}>
            <p className="stat-label">
              <span className="bone bone-middle" />
            </p>
            <p className="stat-value">
              <span className="bone bone-value" />
            </p>
            <span className="bone bone-meter" />
            <p className="stat-foot">
              <span className="bone bone-long" />
            </p>
          </div>
        ))}
      </div>
      <div className="card keys" aria-hidden="true">
        <div className="row row-head">
          <span>{strings.list.columns.key}</span>
        </div>
        <ul className="rows">
          <SkeletonRows count={2} />
        </ul>
      </div>
    </div>
  )
}

/** Replaces the page: says why it cannot be shown, and what to do. */
export function ProblemPage({ problem, isTrying }: { problem: Problem; isTrying: boolean }) {
  return (
    <div className="page">
      <header className="page-head">
        <div className="page-title">
          <Heading>{strings.title}</Heading>
        </div>
      </header>
      <div className="card problem-page" role="alert">
        <span className="empty-icon">
          <Icon name={iconOf(problem)} />
        </span>
        <Heading below={1} className="problem-title">
          {problem.title}
        </Heading>
        <p className="hint">{problem.hint}</p>
        <RetryButton isTrying={isTrying} />
      </div>
    </div>
  )
}

/** Above a page that may be out of date: says why. */
export function ProblemBanner({ problem, isTrying }: { problem: Problem; isTrying: boolean }) {
  return (
    <div className="banner" role="alert">
      <Icon name={iconOf(problem)} />
      <p>
        <strong>{problem.title}.</strong> {problem.hint}
      </p>
      <RetryButton isTrying={isTrying} />
    </div>
  )
}

function RetryButton({ isTrying }: { isTrying: boolean }) {
  const { refresh } = usePage()
  return (
    <button type="button" className="button" aria-disabled={isTrying} onClick={() => isTrying || refresh()}>
      <Icon name="refresh" />
      {strings.tryAgain}
    </button>
  )
}

function iconOf({ title }: Problem) {
  if (title === strings.problems.signedOut.title) return 'lock'
  return title === strings.problems.unreachable.title ? 'cloud' : 'alert'
}
