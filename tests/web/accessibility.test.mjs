// Checks every page and state, wide and narrow, dark and light: no axe violation, no horizontal scrolling,
// large enough touch targets. With --screenshots, each is saved as an image.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import {
  BASE,
  NARROW,
  WIDE,
  addStories,
  createTeam,
  fillRoom,
  join,
  launch,
  pressPrimary,
  newPage,
  primary,
  screenshot,
  seats,
  vote,
} from './lib/browser.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const TOUCH_PX = 44
/** Budget of a first visit: bytes over the wire. */
const FIRST_LOAD_BYTES = 150_000

let browser
before(async () => (browser = await launch()))
after(() => browser.close())

async function check(page, name) {
  await page.addScriptTag({ content: axe }).catch(() => page.evaluate(axe))
  for (const [size, viewport] of Object.entries({
    wide: WIDE,
    narrow: NARROW,
  })) {
    await page.setViewportSize(viewport)
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      const state = `${name}-${size}-${scheme}`
      const { violations } = await page.evaluate(
        (tags) => window.axe.run(document, { runOnly: { type: 'tag', values: tags } }),
        TAGS,
      )
      const found = violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`,
      )
      assert.deepEqual(found, [], state)
      await screenshot(page, state)
    }
    assert.deepEqual(await tooWide(page), [], `${name}-${size} is too wide`)
    if (size === 'narrow') assert.deepEqual(await smallTargets(page), [], name)
  }
  assert.deepEqual(page.problems, [])
  await page.setViewportSize(WIDE)
}

/** The elements that overflow to the right, if the page scrolls horizontally. */
async function tooWide(page) {
  // The browser may still be applying its new size.
  const fits = () => document.documentElement.scrollWidth <= document.documentElement.clientWidth
  await page.waitForFunction(fits, undefined, { timeout: 3000 }).catch(() => {})
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    if (scrollWidth <= clientWidth) return []
    const all = [...document.body.querySelectorAll('*')]
    return all
      .filter((element) => element.getBoundingClientRect().right > clientWidth)
      .map((element) => element.outerHTML.slice(0, 100))
  })
}

/** Buttons, links and fields smaller than TOUCH_PX. */
function smallTargets(page) {
  return page.evaluate((least) => {
    const top = document.querySelector('dialog[open]') ?? document
    const targets = top.querySelectorAll('button, a[href], input, select, textarea')
    return [...targets].flatMap((target) => {
      const label = target.matches('[role=switch], .segment input') ? target.parentElement : target
      const { width, height } = label.getBoundingClientRect()
      const hidden =
        !target.checkVisibility({ visibilityProperty: true }) || target.matches('.skip')
      return hidden || (width >= least && height >= least)
        ? []
        : [`${target.outerHTML.slice(0, 120)} ${width}x${height}`]
    })
  }, TOUCH_PX)
}

/** The content security policy would refuse the injected axe script. */
const lenient = { bypassCSP: true }

test('home, join and error pages', async () => {
  const page = await newPage(browser, lenient)
  await page.goto(`${BASE}/`)
  await check(page, 'home')
  await page.getByLabel('What is your team called?').fill('Payments team')
  await page.keyboard.press('Enter')
  await page.getByLabel('Your name').waitFor()
  await check(page, 'join')
  await page.goto(`${BASE}/t/no-such-team-aaaaaa`)
  await page.getByRole('heading', { name: 'Team not found' }).waitFor()
  await check(page, 'team-not-found')
  await page.goto(`${BASE}/foo/bar`)
  await page.getByRole('heading', { name: 'Page not found' }).waitFor()
  await check(page, 'no-such-page')
  await page.route('**/api/teams/*', (route) => route.abort())
  await page.goto(`${BASE}/t/out-of-reach-aaaaaa`)
  await page.getByText('The team cannot be loaded right now.').waitFor()
  await check(page, 'join-out-of-reach')
})

test('room in every state', async () => {
  const ada = await newPage(browser, lenient)
  const url = await createTeam(ada)
  await check(ada, 'room-empty')
  await addStories(ada, [
    'PAY-480 Store the card token',
    'PAY-481 Show the fee',
    'PAY-482 Refund to another card',
    'PAY-483 Notify the customer, with a date, when a refund takes longer than the bank allows',
    'PAY-484 Export',
  ])
  await ada.locator('.story').nth(0).getByRole('button').first().click()
  await ada.getByRole('heading', { name: 'PAY-480' }).waitFor()
  const guest = await newPage(browser, lenient)
  await guest.goto(url)
  await guest.getByRole('heading', { name: 'Join Payments team' }).waitFor()
  await check(guest, 'join-shared-link')
  const ben = await join(browser, url, 'Ben', lenient)
  const chen = await join(browser, url, 'Chen')
  const dia = await join(browser, url, 'Dia')
  const eve = await join(browser, url, 'Eve', { observer: true, ...lenient })
  await seats(ada).nth(3).waitFor()
  for (const page of [ada, ben, chen, dia]) await vote(page, '5')
  await pressPrimary(ada)
  await primary(ada).getByText('Save 5').waitFor()
  await pressPrimary(ada)
  await primary(ada).getByText('Next story').waitFor()
  await pressPrimary(ada)
  await ada.getByRole('heading', { name: 'PAY-481' }).waitFor()

  await vote(ada, '5')
  await vote(ben, '3')
  await vote(dia, '13')
  await ada.getByText('3 of 4 have voted').waitFor()
  await check(ada, 'room-voting')
  await check(ben, 'room-voter')
  await check(eve, 'room-observer')
  await vote(chen, '5')
  const box = await primary(ada).boundingBox()
  await pressPrimary(ada)
  await primary(ada).getByText('Save 5').waitFor()
  assert.deepEqual(await primary(ada).boundingBox(), box, 'the primary action moved')
  await check(ada, 'room-revealed')
  await check(ben, 'room-revealed-voter')
  await check(eve, 'room-revealed-observer')
  await pressPrimary(ada)
  await primary(ada).getByText('Next story').waitFor()
  assert.deepEqual(await primary(ada).boundingBox(), box, 'the primary action moved')
  await check(ada, 'room-saved')
  await ada.setViewportSize(NARROW)
  const thumb = await primary(ada).boundingBox()
  await ada.getByRole('button', { name: 'Vote again' }).click()
  await ada.getByText('0 of 4 have voted').waitFor()
  assert.deepEqual(await primary(ada).boundingBox(), thumb, 'the primary action moved')
  await ada.setViewportSize(WIDE)
  await vote(ada, '8')
  await pressPrimary(ada)
  await ada.getByTestId('result').waitFor()

  await ada.getByRole('button', { name: 'Timer' }).click()
  await check(ada, 'timer-menu')
  await ada.getByRole('button', { name: 'Start 2 min' }).click()
  await ada.getByRole('timer').waitFor()
  await check(ada, 'timer')

  await ada.getByRole('link', { name: 'History and export' }).focus()
  await ada.keyboard.press('Enter')
  // The history is written asynchronously.
  while ((await ada.locator('.history-round').count()) === 0) {
    await ada.reload()
    await ada
      .locator('.history-round, .history .hint:has-text("Nothing revealed")')
      .first()
      .waitFor()
  }
  await check(ada, 'history')
  await ada.getByRole('link', { name: 'Back to the room' }).click()

  await chen.close()
  await ada.locator('.seat[data-away]').waitFor()
  await check(ada, 'someone-away')
  await ada.close()
  await ben.getByRole('button', { name: 'Take over' }).waitFor()
  await check(ben, 'facilitator-away')
})

test('dialogs', async () => {
  const ada = await newPage(browser, lenient)
  const url = await createTeam(ada)
  await addStories(ada, ['One', 'Two'])
  const ben = await join(browser, url, 'Ben', lenient)
  await seats(ada).nth(1).waitFor()
  const dialogs = {
    share: () => ada.getByRole('button', { name: 'Share' }).click(),
    settings: () => ada.getByRole('button', { name: 'Settings' }).click(),
    keys: () => ada.getByRole('button', { name: 'Keyboard shortcuts' }).click(),
    story: () => ada.getByRole('button', { name: 'Edit One' }).click(),
    person: () => ada.getByRole('button', { name: 'Actions for Ben' }).click(),
  }
  for (const [name, open] of Object.entries(dialogs)) {
    await open()
    await ada.getByRole('dialog').waitFor()
    await check(ada, `dialog-${name}`)
    await ada.keyboard.press('Escape')
    await ada.getByRole('dialog').waitFor({ state: 'detached' })
  }
  await ada.setViewportSize(NARROW)
  await ada.getByRole('button', { name: 'Stories' }).click()
  await ada.locator('.stories[data-open]').waitFor()
  await check(ada, 'drawer')
  await ada.keyboard.press('Escape')

  await ada.getByRole('button', { name: 'Actions for Ben' }).click()
  await ada.getByRole('button', { name: /Remove from the room/ }).click()
  await ben.getByRole('heading', { name: 'You were removed' }).waitFor()
  await check(ben, 'removed')
})

test('offline', async () => {
  const ada = await newPage(browser, lenient)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben', lenient)
  await ada.context().setOffline(true)
  await ada.evaluate(() => window.dispatchEvent(new Event('offline')))
  await check(ada, 'offline')
  await ben.close()
})

test('rare states: time is up, room full, history unavailable', async () => {
  const ada = await newPage(browser, lenient)
  // The shortest timer of the menu takes a minute.
  await ada.addInitScript(() => {
    const { send } = WebSocket.prototype
    WebSocket.prototype.send = function (text) {
      send.call(this, text.replace('"seconds":60', '"seconds":1'))
    }
  })
  const url = await createTeam(ada)
  await ada.getByRole('button', { name: 'Timer' }).click()
  await ada.getByRole('button', { name: 'Start 1 min' }).click()
  await ada.getByTestId('time-up').waitFor()
  await check(ada, 'time-up')
  const { last } = await fillRoom(ada, url)
  await check(last, 'room-full')
  await ada.route('**/history', (route) => route.abort())
  await ada.getByRole('link', { name: 'History and export' }).click()
  await ada.getByRole('button', { name: 'Try again' }).waitFor()
  await check(ada, 'history-failed')
})

test('first visit stays within its byte budget', async () => {
  const page = await newPage(browser)
  const requests = []
  page.on('requestfinished', (request) => requests.push(request))
  await page.goto(`${BASE}/`, { waitUntil: 'load' })
  await page.getByRole('button', { name: 'Start estimating' }).waitFor()
  const sizes = await Promise.all(requests.map((request) => request.sizes()))
  const total = sizes.reduce((sum, { responseBodySize }) => sum + responseBodySize, 0)
  assert.ok(total > 0 && total <= FIRST_LOAD_BYTES, `${total} bytes`)
})
