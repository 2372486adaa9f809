import assert from 'node:assert/strict'

/** For each state, the states that may follow it. */
export type Transitions<State extends string> = Readonly<Record<State, readonly State[]>>

/** Returns `to` after asserting that it may follow `from`. Anything else is a defect in the state machine's owner. */
export function transition<State extends string>(
  transitions: Transitions<State>,
  from: State,
  to: State,
): State {
  assert.ok(transitions[from].includes(to), `There is no transition from "${from}" to "${to}".`)
  return to
}
