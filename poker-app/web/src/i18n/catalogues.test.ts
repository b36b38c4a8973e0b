import { expect, it } from 'vitest'
import { catalogues } from './catalogues'

const leaves = (value: unknown, path = ''): [string, unknown][] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`))
    : [[path, value]]

it.each(Object.keys(catalogues) as (keyof typeof catalogues)[])(
  'the catalogue %s has the texts of the English one, none empty',
  (language) => {
    const english = new Map(leaves(catalogues.en))
    const texts = new Map(leaves(catalogues[language]))
    expect([...texts.keys()].sort()).toEqual([...english.keys()].sort())
    for (const [path, text] of texts) expect(text, path).not.toBe('')
  },
)
