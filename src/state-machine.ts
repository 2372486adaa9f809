/** Which states may follow each state. An end state is followed by none. */
export type Transitions<State extends string> = Readonly<Record<State, readonly State[]>>

/** Holds the state of an object with a lifecycle, and rejects transitions that its diagram does not have. */
export class StateMachine<State extends string> {
  readonly #name: string
  readonly #transitions: Transitions<State>
  #state: State

  constructor(name: string, initial: State, transitions: Transitions<State>) {
    this.#name = name
    this.#state = initial
    this.#transitions = transitions
  }

  get state(): State {
    return this.#state
  }

  /** @throws Error where the transition is not allowed: a defect of the caller */
  become(next: State): void {
    if (!this.#transitions[this.#state].includes(next))
      throw new Error(`${this.#name} cannot become ${next} while it is ${this.#state}.`)
    this.#state = next
  }
}
