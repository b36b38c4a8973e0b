import { beforeAll, describe, expect, it, vi } from 'vitest'
import { parse as parseTeams, withTeam } from './teams'
import { parseRoute } from '../router'
import { catalogues } from '../i18n/catalogues'

describe('stored settings', () => {
  let parse: typeof import('./settings').parse
  beforeAll(async () => {
    vi.stubGlobal('window', { localStorage: { getItem: () => null } })
    vi.stubGlobal('navigator', { languages: ['en'] })
    ;({ parse } = await import('./settings'))
  })

  it('are the defaults when there are none, or when they make no sense', () => {
    const defaults = { name: '', role: 'voter', theme: 'system', language: 'en', keys: true }
    for (const stored of [
      null,
      'x',
      [],
      { name: 5, theme: 'pink', language: 'xx', role: 'boss' },
    ]) {
      expect(parse(stored, [])).toEqual(defaults)
    }
  })

  it('are kept when they do', () => {
    const stored = { name: 'Ada', role: 'observer', theme: 'dark', language: 'de', keys: false }
    expect(parse(stored, ['en'])).toEqual(stored)
  })

  it.each([
    [['de-AT', 'en'], 'de'],
    [['fr', 'de'], 'de'],
    [['fr'], 'en'],
    [[], 'en'],
  ])('follow the browser languages %j to %s', (languages, expected) => {
    expect(parse({}, languages).language).toBe(expected)
  })
})

describe('known teams', () => {
  it('are read with care, newest first, each once, and not too many', () => {
    const team = (slug: string) => ({ slug, name: slug, role: 'voter' as const })
    expect(parseTeams([team('a'), { slug: 5 }, null, { slug: 'b', name: 'B' }])).toEqual([
      team('a'),
      { slug: 'b', name: 'B', role: 'voter' },
    ])
    expect(parseTeams({})).toEqual([])
    expect(withTeam([team('a'), team('b')], team('b')).map(({ slug }) => slug)).toEqual(['b', 'a'])
    const many = Array.from({ length: 30 }, (_, n) => team(`t${n}`))
    expect(withTeam(many, team('new'))).toHaveLength(12)
  })
})

describe('routes', () => {
  it.each([
    ['/', '', { page: 'home' }],
    ['/t/blue-team-abc234', '', { page: 'team', slug: 'blue-team-abc234', history: false }],
    ['/t/blue-team-abc234/', '#history', { page: 'team', slug: 'blue-team-abc234', history: true }],
    ['/t/Bad_Slug', '', { page: 'unknown' }],
    ['/t/%E0%A4%A', '', { page: 'unknown' }],
    ['/else', '', { page: 'unknown' }],
  ])('%s%s', (pathname, hash, expected) => {
    expect(parseRoute(pathname, hash)).toEqual(expected)
  })
})

describe('catalogues', () => {
  const leaves = (value: unknown, path = ''): [string, unknown][] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`))
      : [[path, value]]

  it.each(Object.keys(catalogues) as (keyof typeof catalogues)[])(
    '%s has every text',
    (language) => {
      const english = new Map(leaves(catalogues.en))
      const texts = new Map(leaves(catalogues[language]))
      expect([...texts.keys()].sort()).toEqual([...english.keys()].sort())
      for (const [path, text] of texts) expect(text, path).not.toBe('')
    },
  )
})
