import { DatabaseError } from 'pg'
import { expect, it } from 'vitest'
import { isUnavailable } from '../../src/storage/unavailable.ts'

it.each([
  ['pg’s error when a connection ends', new Error('Connection terminated unexpectedly'), true],
  ['an error with such a cause', new Error('x', { cause: new Error('Query read timeout') }), true],
  ['a connection that is refused', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), true],
  ['a statement that timed out', postgresError('canceling statement', '57014'), true],
  [
    'a caller’s text that PostgreSQL quotes',
    postgresError('invalid: "Connection terminated"', '22P02'),
    false,
  ],
  ['a defect', new TypeError('x is not a function'), false],
])(
  'whether the database is unavailable follows from codes, not from what a caller sent: %s',
  (_, error, is) => {
    expect(isUnavailable(error)).toBe(is)
  },
)

function postgresError(message: string, code: string): DatabaseError {
  return Object.assign(new DatabaseError(message, message.length, 'error'), { code })
}
