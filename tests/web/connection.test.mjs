import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import {
  BASE,
  addStories,
  card,
  createTeam,
  join,
  launch,
  live,
  newPage,
  seat,
  vote,
} from './lib/browser.mjs'
import { startLine } from './lib/proxy.mjs'

let browser
let line
before(async () => (browser = await launch()))
after(() => browser.close())
beforeEach(async () => (line = await startLine()))
afterEach(() => line.close())

const connection = (page, kind) =>
  page.locator(`[data-testid=connection-status][data-kind=${kind}]`)
const direct = (url) => BASE + new URL(url).pathname

test('a cut line shows at once, and heals by itself', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Payments team', 'Ada', line.url)
  const ben = await join(browser, direct(url), 'Ben')
  line.cut()
  await connection(ada, 'live').waitFor({ state: 'detached' })
  await seat(ben, 'Ada').getByText('away').waitFor()
  await vote(ben, '5')
  line.mend()
  await live(ada)
  await seat(ada, 'Ben').getByText('has voted').waitFor({ state: 'attached' })
  assert.deepEqual(ada.problems, [])
})

test('a vote given without a line is kept, shown without a tick, and sent on return', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Payments team', 'Ada', line.url)
  const ben = await join(browser, direct(url), 'Ben')
  line.cut()
  await ada.context().setOffline(true)
  await connection(ada, 'offline').waitFor()
  await card(ada, '3').click()
  await card(ada, '8').click()
  assert.ok(await card(ada, '8').isChecked())
  assert.equal(await ada.getByTestId('tick').count(), 0)
  await connection(ada, 'offline').getByText('Offline, your vote is kept').waitFor()
  line.mend()
  await ada.context().setOffline(false)
  await live(ada)
  await ada.getByTestId('tick').waitFor()
  await seat(ben, 'Ada').getByText('has voted').waitFor({ state: 'attached' })
})

test('a kept vote even survives a reload', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', line.url)
  line.cut()
  await connection(ada, 'live').waitFor({ state: 'detached' })
  await card(ada, '8').click()
  line.mend()
  await ada.reload()
  await live(ada)
  await ada.getByTestId('tick').waitFor()
  assert.ok(await card(ada, '8').isChecked())
})

test('the wait can be cut short', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', line.url)
  line.cut()
  const now = connection(ada, 'reconnecting').getByRole('button', { name: 'now' })
  await now.waitFor()
  line.mend()
  // It may come back by itself before the press.
  await Promise.race([now.click().catch(() => {}), connection(ada, 'live').waitFor()])
  await live(ada)
})

test('a line that is dead without saying so is noticed', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', line.url)
  line.freeze()
  await ada.evaluate(() => window.dispatchEvent(new Event('pageshow')))
  await connection(ada, 'checking').waitFor()
  await live(ada)
})

test('a command that the line lost is sent again and counts once', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', line.url)
  line.freeze()
  await ada.getByLabel('Add or paste stories').fill('Only once')
  await ada.getByLabel('Add or paste stories').press('Enter')
  await connection(ada, 'saving').waitFor()
  line.cut()
  line.mend()
  await live(ada)
  await ada.locator('.story').waitFor()
  await addStories(ada, ['Second', 'Third'])
  await ada.locator('.story').nth(2).waitFor()
  assert.deepEqual(await ada.locator('.story-title').allTextContents(), [
    'Only once',
    'Second',
    'Third',
  ])
})
