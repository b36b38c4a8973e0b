// One browser per test file. Each participant has a context of its own, hence its own key.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import jsQR from 'jsqr'
import { chromium } from 'playwright-core'

export const BASE = process.env.POKER_URL
export const WIDE = { width: 1280, height: 800 }
export const NARROW = { width: 390, height: 844 }

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export async function launch() {
  // Holds the downloads; removed when the browser closes.
  const scratch = mkdtempSync(joinPath(tmpdir(), 'poker-web-'))
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: FLAGS,
    downloadsPath: scratch,
  })
  browser.on('disconnected', () => rmSync(scratch, { recursive: true, force: true }))
  return browser
}

/** The page of a new participant. `page.problems` holds the errors of the page. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({
    viewport: WIDE,
    locale: 'en-GB',
    colorScheme: 'light',
    reducedMotion: 'reduce',
    ...options,
  })
  return pageIn(context)
}

export async function pageIn(context) {
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  page.problems = []
  page.received = []
  page.sent = []
  page.on('pageerror', (error) => page.problems.push(error.message))
  page.on('console', (message) => {
    const expected = /WebSocket connection|ERR_|Failed to load resource/
    if (message.type() === 'error' && !expected.test(message.text())) {
      page.problems.push(message.text())
    }
  })
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => page.received.push(String(payload)))
    socket.on('framesent', ({ payload }) => page.sent.push(String(payload)))
  })
  return page
}

/** The frames that this page has received. */
export const framesOf = (page) => page.received
/** The frames that this page has sent. */
export const sentBy = (page) => page.sent

/** Creates a team and joins it as the facilitator; returns its URL. */
export async function createTeam(page, team = 'Payments team', name = 'Ada', base = BASE) {
  await page.goto(`${base}/`)
  await page.getByLabel('What is your team called?').fill(team)
  await page.getByRole('button', { name: 'Start estimating' }).click()
  await enter(page, name)
  return page.url()
}

export async function join(browser, url, name, { observer = false, ...options } = {}) {
  const page = await newPage(browser, options)
  await page.goto(url)
  await page.getByLabel('Your name').waitFor()
  if (observer) await page.getByRole('radio', { name: /Observe/ }).check()
  await enter(page, name)
  return page
}

async function enter(page, name) {
  await page.getByLabel('Your name').fill(name)
  await page.getByRole('button', { name: 'Enter the room' }).click()
  await live(page)
}

export async function live(page) {
  await page.locator('[data-testid=connection-status][data-kind=live]').waitFor()
  await page.locator('.round, .history').first().waitFor()
}

export const primary = (page) => page.getByTestId('primary')
/** Presses the primary button, which ignores presses right after its action has changed. */
export const pressPrimary = (page) =>
  page.locator('[data-testid=primary]:not([data-fresh])').click()
export const hand = (page) => page.locator('#hand')
export const card = (page, name) => hand(page).getByRole('radio', { name, exact: true })
export const seats = (page) => page.getByTestId('seat')
export const seat = (page, name) => seats(page).filter({ hasText: name })

/** Chooses a card and waits for its tick, which shows that the server has saved the vote. */
export async function vote(page, name) {
  await card(page, name).click()
  await page.getByTestId('tick').waitFor()
}

export async function addStories(page, titles) {
  await page.getByLabel('Add or paste stories').fill(titles.join('\n'))
  await page.getByLabel('Add or paste stories').press('Enter')
  await page
    .locator('.story')
    .nth(titles.length - 1)
    .waitFor()
}

/** Opens the most tabs of one participant that a room accepts, and one more. */
export async function fillRoom(page, url) {
  const tabs = []
  for (let count = 0; count < 7; count += 1) {
    const tab = await pageIn(page.context())
    await tab.goto(url)
    await live(tab)
    tabs.push(tab)
  }
  const last = await pageIn(page.context())
  await last.goto(url)
  await last.getByRole('heading', { name: 'This room is full' }).waitFor()
  return { tabs, last }
}

/** Decodes the QR code in a screenshot of an element. */
export async function readQrCode(browser, element) {
  const picture = `data:image/png;base64,${(await element.screenshot()).toString('base64')}`
  const blank = await browser.newPage()
  const { pixels, width, height } = await blank.evaluate(async (source) => {
    const image = new Image()
    image.src = source
    await image.decode()
    const { width, height } = image
    const context = new OffscreenCanvas(width, height).getContext('2d')
    context.drawImage(image, 0, 0)
    return { pixels: [...context.getImageData(0, 0, width, height).data], width, height }
  }, picture)
  await blank.close()
  return jsQR(Uint8ClampedArray.from(pixels), width, height)?.data
}

export async function screenshot(page, name) {
  const folder = process.env.SCREENSHOTS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({
    path: joinPath(folder, `${name}.png`),
    animations: 'disabled',
  })
}
