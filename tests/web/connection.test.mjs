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
import { startProxy } from './lib/proxy.mjs'

let browser
let proxy
before(async () => (browser = await launch()))
after(() => browser.close())
beforeEach(async () => (proxy = await startProxy()))
afterEach(() => proxy.close())

const connection = (page, kind) =>
  page.locator(`[data-testid=connection-status][data-kind=${kind}]`)
const direct = (url) => BASE + new URL(url).pathname

test('a lost connection is shown at once and restored automatically', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Payments team', 'Ada', proxy.url)
  const ben = await join(browser, direct(url), 'Ben')
  proxy.cut()
  await connection(ada, 'live').waitFor({ state: 'detached' })
  await seat(ben, 'Ada').getByText('away').waitFor()
  await vote(ben, '5')
  proxy.restore()
  await live(ada)
  await seat(ada, 'Ben').getByText('has voted').waitFor({ state: 'attached' })
  assert.deepEqual(ada.problems, [])
})

test('an offline vote is kept, shown without a tick, and sent after reconnecting', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Payments team', 'Ada', proxy.url)
  const ben = await join(browser, direct(url), 'Ben')
  proxy.cut()
  await ada.context().setOffline(true)
  await connection(ada, 'offline').waitFor()
  await card(ada, '3').click()
  await card(ada, '8').click()
  assert.ok(await card(ada, '8').isChecked())
  assert.equal(await ada.getByTestId('tick').count(), 0)
  await connection(ada, 'offline').getByText('Offline, your vote is kept').waitFor()
  proxy.restore()
  await ada.context().setOffline(false)
  await live(ada)
  await ada.getByTestId('tick').waitFor()
  await seat(ben, 'Ada').getByText('has voted').waitFor({ state: 'attached' })
})

test('a pending vote survives a reload', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', proxy.url)
  proxy.cut()
  await connection(ada, 'live').waitFor({ state: 'detached' })
  await card(ada, '8').click()
  proxy.restore()
  await ada.reload()
  await live(ada)
  await ada.getByTestId('tick').waitFor()
  assert.ok(await card(ada, '8').isChecked())
})

test('the user can reconnect at once', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', proxy.url)
  proxy.cut()
  const now = connection(ada, 'reconnecting').getByRole('button', { name: 'now' })
  await now.waitFor()
  proxy.restore()
  // The page may reconnect before the click.
  await Promise.race([now.click().catch(() => {}), connection(ada, 'live').waitFor()])
  await live(ada)
})

test('a connection without a response is detected', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', proxy.url)
  proxy.freeze()
  await ada.evaluate(() => window.dispatchEvent(new Event('pageshow')))
  await connection(ada, 'checking').waitFor()
  await live(ada)
})

test('a lost command is resent and applied once', async () => {
  const ada = await newPage(browser)
  await createTeam(ada, 'Payments team', 'Ada', proxy.url)
  proxy.freeze()
  await ada.getByLabel('Add or paste stories').fill('Only once')
  await ada.getByLabel('Add or paste stories').press('Enter')
  await connection(ada, 'saving').waitFor()
  proxy.cut()
  proxy.restore()
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
