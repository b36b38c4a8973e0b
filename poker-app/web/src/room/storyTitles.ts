import { utf8Bytes } from '../connection/utf8'
import { ADD_STORIES_BYTES_MAX, STORY_TITLE_CHARS_MAX } from './limits'

/** Characters that the server refuses in a title: control and text direction characters. */
const FORBIDDEN = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu
const VISIBLE = /[^\s\u200b-\u200f\u2060\ufeff\u00ad]/u

/** The story titles of a pasted list: one per line, without bullets, numbers and blank lines. */
export function parseTitles(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/^\s*(?:[-*•–]|\[[ xX]?\]|\d{1,3}[.)])\s+/, ''))
    .map((line) => line.replace(/\s+/g, ' ').replace(FORBIDDEN, '').trim())
    .filter((line) => VISIBLE.test(line))
    .map((line) => Array.from(line).slice(0, STORY_TITLE_CHARS_MAX).join(''))
}

/** Splits the titles, in order, into batches that each fit into one message. */
export function batchTitles(titles: readonly string[]): string[][] {
  const batches: string[][] = []
  let freeBytes = 0
  for (const title of titles) {
    const bytes = utf8Bytes(JSON.stringify(title)) + 1
    if (bytes > freeBytes) {
      batches.push([])
      freeBytes = ADD_STORIES_BYTES_MAX
    }
    batches.at(-1)?.push(title)
    freeBytes -= bytes
  }
  return batches
}
