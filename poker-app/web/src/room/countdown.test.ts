import { expect, test } from 'vitest'
import { formatSeconds, secondsLeft } from './countdown'

test.each([
  [80, '1:20'],
  [5, '0:05'],
  [600, '10:00'],
])('%i seconds are shown as %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text)
})

test('secondsLeft stays between zero and the duration of the timer', () => {
  const timer = { endsAtMs: 100_000, seconds: 60 }
  expect(secondsLeft(timer, 70_500)).toBe(30)
  expect(secondsLeft(timer, 0)).toBe(60)
  expect(secondsLeft(timer, 200_000)).toBe(0)
})
