import fc from 'fast-check'

/** Text of any kind: printable, with control characters, with lone surrogates. */
export const anyText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({
    unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
    maxLength: 10,
  }),
)

/** Bytes and words that matter to some parser. */
const fragments = [
  ...[
    '\0',
    '\r\n',
    '\r\n\r\n',
    '\n',
    ':',
    ',',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '[',
    ']',
    '(',
    ')',
    '$',
    '@',
    '!',
    '...',
  ],
  ...[
    '%',
    '%00',
    '%zz',
    '=',
    ' ',
    '\t',
    '..',
    '//',
    '#',
    '"""',
    '\ud800',
    '\ufeff',
    'é',
    '💥',
    'null',
    '__proto__',
  ],
  ...[
    '-1',
    '1e400',
    '9007199254740993',
    'ey',
    'Bearer ',
    'query',
    'fragment',
    'on',
    '__typename',
    'toString',
  ],
]
const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.nat({ max: 8 }),
  insert: fc.oneof(fc.constantFrom(...fragments), fc.string({ maxLength: 5 }), fc.constant('')),
})

/** A text with a few edits at random places. */
export const mutated = (text: string): fc.Arbitrary<string> =>
  fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) =>
    edits.reduce((current, { at, remove, insert }) => {
      const from = Math.floor(at * current.length)
      return current.slice(0, from) + insert + current.slice(from + remove)
    }, text),
  )

/** Any JSON, and what looks like an id, a cursor, a secret or a month. */
export const anyInput: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  anyText,
  fc.constantFrom(
    ...['', 'v3.ping', '2026-11', '2026-13', 'QXBpS2V5OjE=', 'lk_', 'FULL', 'now', 'a'.repeat(5_000)],
  ),
  fc.tuple(anyText, anyText).map(([type, id]) => Buffer.from(`${type}:${id}`).toString('base64')),
  fc.constantFrom<unknown>(
    ...[-1, 0, 1.5, 101, 2 ** 31, 2 ** 53, Number.MAX_VALUE, true, null, [], {}, [[]], [null]],
  ),
)
