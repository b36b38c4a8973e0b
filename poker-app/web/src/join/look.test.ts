import { expect, test } from 'vitest'
import { read, type Sight } from './look'

test.each<[number, unknown, Sight]>([
  [200, { slug: 'blue', name: 'Blue' }, { kind: 'team', name: 'Blue' }],
  [404, { code: 'team_not_found', message: '' }, { kind: 'none' }],
  [404, { code: 'not_found' }, { kind: 'away' }],
  [404, null, { kind: 'away' }],
  [200, { slug: 'blue' }, { kind: 'away' }],
  [503, { code: 'unavailable' }, { kind: 'away' }],
])('%i %j', (status, body, sight) => {
  expect(read(status, body)).toEqual(sight)
})
