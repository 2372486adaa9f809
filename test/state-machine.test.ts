import { describe, expect, it } from 'vitest'
import { StateMachine } from '../src/state-machine.ts'

describe('a state machine', () => {
  const create = () =>
    new StateMachine('A door', 'open', { open: ['shut'], shut: ['open', 'gone'], gone: [] })

  it('makes the transitions that it has', () => {
    const door = create()
    for (const state of ['shut', 'open', 'shut', 'gone'] as const) door.become(state)
    expect(door.state).toBe('gone')
  })

  it('rejects any other transition, and stays as it is', () => {
    const door = create()
    expect(() => door.become('gone')).toThrow('A door cannot become gone while it is open.')
    expect(() => door.become('open')).toThrow('A door cannot become open while it is open.')
    expect(door.state).toBe('open')
  })
})
