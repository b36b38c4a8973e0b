import { beforeAll, describe, expect, it, vi } from 'vitest'

describe('stored settings', () => {
  let parse: typeof import('./settings').parse
  beforeAll(async () => {
    vi.stubGlobal('window', { localStorage: { getItem: () => null } })
    vi.stubGlobal('navigator', { languages: ['en'] })
    ;({ parse } = await import('./settings'))
  })

  it('are the defaults if missing or invalid', () => {
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

  it('are kept if valid', () => {
    const stored = { name: 'Ada', role: 'observer', theme: 'dark', language: 'de', keys: false }
    expect(parse(stored, ['en'])).toEqual(stored)
  })

  it.each([
    [['de-AT', 'en'], 'de'],
    [['fr', 'de'], 'de'],
    [['fr'], 'en'],
    [[], 'en'],
  ])('take the language from the browser languages %j: %s', (languages, expected) => {
    expect(parse({}, languages).language).toBe(expected)
  })
})
