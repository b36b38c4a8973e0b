import { expect, test } from 'vitest'
import { parsePreview, type TeamPreview } from './teamPreview'

test.each<[number, unknown, TeamPreview]>([
  [200, { slug: 'blue', name: 'Blue' }, { kind: 'found', name: 'Blue' }],
  [404, { code: 'team_not_found', message: '' }, { kind: 'not_found' }],
  [404, { code: 'not_found' }, { kind: 'unavailable' }],
  [404, null, { kind: 'unavailable' }],
  [200, { slug: 'blue' }, { kind: 'unavailable' }],
  [503, { code: 'unavailable' }, { kind: 'unavailable' }],
])('status %i with body %j is %j', (status, body, preview) => {
  expect(parsePreview(status, body)).toEqual(preview)
})
