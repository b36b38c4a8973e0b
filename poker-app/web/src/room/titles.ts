import { utf8Bytes } from '../connection/size'
import { ADD_STORIES_BYTES_MAX, STORY_TITLE_CHARS_MAX } from './limits'

/** What the server refuses in a title: control characters and marks that turn the text around them. */
const FORBIDDEN = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu
const VISIBLE = /[^\s\u200b-\u200f\u2060\ufeff\u00ad]/u

/** Story titles in a pasted list: one a line, without bullets, numbers and blank lines. */
export function titles(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/^\s*(?:[-*•–]|\[[ xX]?\]|\d{1,3}[.)])\s+/, ''))
    .map((line) => line.replace(/\s+/g, ' ').replace(FORBIDDEN, '').trim())
    .filter((line) => VISIBLE.test(line))
    .map((line) => Array.from(line).slice(0, STORY_TITLE_CHARS_MAX).join(''))
}

/** The titles in order, in parts that fit a message each. */
export function batches(all: readonly string[]): string[][] {
  const parts: string[][] = []
  let room = 0
  for (const title of all) {
    const bytes = utf8Bytes(JSON.stringify(title)) + 1
    if (bytes > room) {
      parts.push([])
      room = ADD_STORIES_BYTES_MAX
    }
    parts.at(-1)?.push(title)
    room -= bytes
  }
  return parts
}
