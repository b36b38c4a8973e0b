import { expect, test } from 'vitest'
import { parse, withTeam } from './teams'

const team = (slug: string) => ({ slug, name: slug, role: 'voter' as const })

test('parse drops invalid entries', () => {
  expect(parse([team('a'), { slug: 5 }, null, { slug: 'b', name: 'B' }])).toEqual([
    team('a'),
    { slug: 'b', name: 'B', role: 'voter' },
  ])
  expect(parse({})).toEqual([])
})

test('withTeam puts the team first, once, and keeps at most 12', () => {
  expect(withTeam([team('a'), team('b')], team('b')).map(({ slug }) => slug)).toEqual(['b', 'a'])
  const many = Array.from({ length: 30 }, (_, n) => team(`t${n}`))
  expect(withTeam(many, team('new'))).toHaveLength(12)
})
