import type { Problem } from '../api/problem.ts'
import { Icon } from './icons.tsx'

/** Why an action failed, next to its button. */
export function ProblemNote({ problem, id }: { problem: Problem | null; id?: string }) {
  if (!problem) return null
  return (
    <p className="problem" role="alert" id={id}>
      <Icon name="alert" />
      <span>
        <strong>{problem.title}</strong> {problem.hint}
      </span>
    </p>
  )
}
