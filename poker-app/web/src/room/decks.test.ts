import { expect, test } from 'vitest'
import { parseCards } from './decks'

test('parseCards splits at commas and white space, and drops duplicates', () => {
  expect(parseCards('1, 2 3;3\n5')).toEqual(['1', '2', '3', '5'])
})

test('parseCards refuses too few, too many and too long cards', () => {
  expect(parseCards('1')).toBeNull()
  expect(parseCards('1 muchtoolong')).toBeNull()
  expect(parseCards(Array.from({ length: 33 }, (_, n) => n).join(' '))).toBeNull()
})
