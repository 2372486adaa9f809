import { describe, expect, it } from 'vitest'
import { accessRule, restrictionsOf } from '../../src/domain/access.ts'

const full = { mode: 'FULL' } as const
const restrictionsIn = (input: object) => restrictionsOf(accessRule.parse({ ...full, ...input }))

describe('restrictions of access', () => {
  it.each([
    ['left out', {}],
    ['null', { resources: null, allowedNetworks: null, allResources: null }],
    ['not all', { allResources: false }],
  ])('stay as they are where they are %s', (_label, input) => expect(restrictionsIn(input)).toEqual({}))

  it.each([
    ['an empty list', { resources: [], allowedNetworks: [] }, { resources: [], allowedNetworks: [] }],
    ['allResources', { allResources: true }, { resources: [] }],
    ['both', { allResources: true, resources: [] }, { resources: [] }],
  ])('are lifted by %s', (_label, input, lifted) => expect(restrictionsIn(input)).toEqual(lifted))

  it('have each type and each id once, and all of a type where one entry says so', () => {
    const resources = [
      { type: 'monitor', ids: ['1', '2', '1'] },
      { type: 'page', ids: ['7'] },
      { type: 'monitor', ids: ['2', '3'] },
      { type: 'page', ids: null },
      { type: 'page', ids: ['8'] },
      { type: 'alert' },
    ]
    expect(restrictionsIn({ resources })).toEqual({
      resources: [
        { type: 'monitor', ids: ['1', '2', '3'] },
        { type: 'page', ids: null },
        { type: 'alert', ids: null },
      ],
    })
  })

  const ids = (count: number) => Array.from({ length: count }, (_, i) => String(i))
  const networks = (count: number) => Array.from({ length: count }, (_, i) => `10.0.${i}.0/24`)

  it.each([
    ['1,000 ids', { resources: [{ type: 'a', ids: ids(999) }, { type: 'b' }] }],
    ['100 networks', { allowedNetworks: networks(100) }],
    ['the longest names', { resources: [{ type: '🔑'.repeat(64), ids: ['🔑'.repeat(256)] }] }],
  ])('may be %s', (_label, input) => expect(accessRule.safeParse({ ...full, ...input }).success).toBe(true))

  it.each<[string, object, (string | number)[]]>([
    ['no type', { resources: [{ type: '', ids: ['1'] }] }, ['resources', 0, 'type']],
    ['a type of 65 characters', { resources: [{ type: 'x'.repeat(65) }] }, ['resources', 0, 'type']],
    ['a type with NUL', { resources: [{ type: 'a\u0000' }] }, ['resources', 0, 'type']],
    ['an empty list of ids', { resources: [{ type: 'a', ids: [] }] }, ['resources', 0, 'ids']],
    ['an empty id', { resources: [{ type: 'a', ids: ['1', ''] }] }, ['resources', 0, 'ids', 1]],
    [
      'an id of 257 characters',
      { resources: [{ type: 'a', ids: ['x'.repeat(257)] }] },
      ['resources', 0, 'ids', 0],
    ],
    [
      'an id with a lone surrogate',
      { resources: [{ type: 'a', ids: ['\ud800'] }] },
      ['resources', 0, 'ids', 0],
    ],
    ['1,001 ids', { resources: [{ type: 'a', ids: ids(1_000) }, { type: 'b' }] }, ['resources']],
    ['some and all', { resources: [{ type: 'a' }], allResources: true }, ['allResources']],
    ['no network', { allowedNetworks: ['192.0.2.0/24', 'home'] }, ['allowedNetworks', 1]],
    ['101 networks', { allowedNetworks: networks(101) }, ['allowedNetworks']],
  ])('are refused with %s, at the field', (_label, input, path) => {
    const issues = accessRule.safeParse({ ...full, ...input }).error?.issues
    expect(issues?.map((issue) => issue.path)).toEqual([path])
  })
})
