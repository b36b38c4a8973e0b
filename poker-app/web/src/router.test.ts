import { expect, test } from 'vitest'
import { parseRoute } from './router'

test.each([
  ['/', '', { page: 'home' }],
  ['/t/blue-team-abc234', '', { page: 'team', slug: 'blue-team-abc234', history: false }],
  ['/t/blue-team-abc234/', '#history', { page: 'team', slug: 'blue-team-abc234', history: true }],
  ['/t/Bad_Slug', '', { page: 'unknown' }],
  ['/t/%E0%A4%A', '', { page: 'unknown' }],
  ['/else', '', { page: 'unknown' }],
])('route of %s%s', (pathname, hash, expected) => {
  expect(parseRoute(pathname, hash)).toEqual(expected)
})
