import { describe, expect, it } from 'vitest'
import { adjacentCard, typeahead } from './typeahead'

const shirts = ['XS', 'S', 'M', 'L', 'XL', 'XXL', '?', '☕']

describe('typeahead', () => {
  const fibonacci = ['0', '½', '1', '2', '3', '5', '8', '13', '20', '40', '100', '?', '☕']

  it.each([
    [fibonacci, '', '5', '5', false],
    [fibonacci, '', '1', '1', true],
    [fibonacci, '1', '3', '13', false],
    [fibonacci, '1', '0', '100', false],
    [fibonacci, '10', '0', '100', false],
    [fibonacci, '', '2', '2', true],
    [fibonacci, '2', '0', '20', false],
    [fibonacci, '2', '5', '5', false],
    [fibonacci, '', '4', '40', false],
    [fibonacci, '', '7', null, false],
    [fibonacci, '', 'x', null, false],
    [shirts, '', 'm', 'M', false],
    [shirts, '', 'x', 'XS', true],
    [shirts, 'x', 'l', 'XL', false],
    [shirts, '', '2', 'S', false],
    [shirts, '', '9', null, false],
  ])('in %j after %j the key %j matches %j', (cards, buffer, key, card, ambiguous) => {
    expect(typeahead(cards, buffer, key)).toMatchObject({ card, ambiguous })
  })
})

describe('adjacentCard', () => {
  it('wraps around, and starts at the nearer end without a chosen card', () => {
    expect(adjacentCard(shirts, 'S', 1)).toBe('M')
    expect(adjacentCard(shirts, 'XS', -1)).toBe('☕')
    expect(adjacentCard(shirts, null, 1)).toBe('XS')
    expect(adjacentCard(shirts, null, -1)).toBe('☕')
    expect(adjacentCard([], null, 1)).toBeNull()
  })
})
