import { describe, expect, it } from 'vitest'
import { ADD_STORIES_BYTES_MAX } from './limits'
import { batchTitles, parseTitles } from './storyTitles'

describe('parseTitles', () => {
  it('takes one title per line, without bullets and numbers', () => {
    const pasted = '- One\r\n\n 2. Two  words\n[x] Three\n• Four\n1984 is a year'
    const titles = ['One', 'Two words', 'Three', 'Four', '1984 is a year']
    expect(parseTitles(pasted)).toEqual(titles)
    expect(parseTitles('  \n')).toEqual([])
  })

  it('cuts a title at the limit of characters', () => {
    expect(Array.from(parseTitles('😀'.repeat(300))[0] ?? '')).toHaveLength(200)
  })

  it('drops forbidden characters and lines without a visible character', () => {
    expect(parseTitles('a\u0000b\u202ec\td\n\u200b\ufeff\n\u0007')).toEqual(['abc d'])
  })
})

describe('batchTitles', () => {
  it('keeps the order and the size limit of a message', () => {
    const titles = Array.from({ length: 200 }, (_, n) => `${n}${'故"'.repeat(95)}`)
    const batches = batchTitles(titles)
    expect(batches.length).toBeGreaterThan(1)
    expect(batches.flat()).toEqual(titles)
    for (const batch of batches) {
      const bytes = new TextEncoder().encode(JSON.stringify(batch)).length
      expect(bytes).toBeLessThanOrEqual(ADD_STORIES_BYTES_MAX + 2)
    }
    expect(batchTitles([])).toEqual([])
  })
})
