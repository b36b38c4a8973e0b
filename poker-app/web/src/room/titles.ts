import { STORIES_PER_PASTE_MAX, STORY_TITLE_CHARS_MAX } from './limits'

/** Story titles in a pasted list: one a line, without bullets, numbers and blank lines. */
export function titles(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/^\s*(?:[-*•–]|\[[ xX]?\]|\d{1,3}[.)])\s+/, ''))
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '')
    .map((line) => Array.from(line).slice(0, STORY_TITLE_CHARS_MAX).join(''))
    .slice(0, STORIES_PER_PASTE_MAX)
}
