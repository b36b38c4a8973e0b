import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  BASE,
  card,
  hand,
  join,
  launch,
  pressPrimary,
  live,
  primary,
  seat,
  seats,
  vote,
  createTeam,
  fillRoom,
  newPage,
  readQrCode,
} from './lib/browser.mjs'

let browser
before(async () => (browser = await launch()))
after(() => browser.close())

test('home lists the known teams of this browser', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Blue team')
  await ada.getByRole('link', { name: 'All teams' }).click()
  await ada.getByRole('link', { name: 'Blue team' }).click()
  await live(ada)
  assert.equal(ada.url(), url)
  await ada.goto(`${BASE}/`)
  await ada.getByRole('button', { name: 'Forget Blue team' }).click()
  assert.equal(await ada.getByRole('link', { name: 'Blue team' }).count(), 0)
})

test('home requires a team name', async () => {
  const ada = await newPage(browser)
  await ada.goto(`${BASE}/`)
  await ada.getByRole('button', { name: 'Start estimating' }).click()
  await ada.getByText('Give the team a name first.').waitFor()
})

test('an observer has no cards and can become a voter', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const eve = await join(browser, url, 'Eve', { observer: true })
  await ada.getByRole('list', { name: 'Observers' }).getByText('Eve').waitFor()
  assert.equal(await hand(eve).getByRole('radio').count(), 0)
  await vote(ada, '5')
  await ada.getByText('1 of 1 have voted').waitFor()
  await eve.getByRole('button', { name: 'Estimate too' }).click()
  await vote(eve, '8')
  await ada.getByText('2 of 2 have voted').waitFor()
})

test('the facilitator hands over to another participant', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await ben.getByText('Ada reveals the cards').waitFor()
  await ada.getByRole('button', { name: 'Actions for Ben' }).click()
  await ada.getByRole('button', { name: /Make facilitator/ }).click()
  await ada.getByText('Ben reveals the cards').waitFor()
  await vote(ben, '5')
  await pressPrimary(ben)
  await ada.getByTestId('result').waitFor()
})

test('a participant takes over from a facilitator who is away', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await ada.close()
  await ben.locator('.actions').getByText('Ada is away.').waitFor()
  await vote(ben, '5')
  await ben.getByRole('button', { name: 'Take over' }).click()
  await pressPrimary(ben)
  await ben.getByTestId('result').waitFor()
})

test('a removed participant is informed and can join again', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await ada.getByRole('button', { name: 'Actions for Ben' }).click()
  await ada.getByRole('button', { name: /Remove from the room/ }).click()
  await ben.getByRole('heading', { name: 'You were removed from this room' }).waitFor()
  await seat(ada, 'Ben').waitFor({ state: 'detached' })
  await ben.getByRole('button', { name: 'Join again' }).click()
  await live(ben)
  await seat(ada, 'Ben').waitFor()
})

test('a shared link shows the team name without joining', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Crème & Brûlée, 2nd team')
  const ben = await newPage(browser)
  await ben.goto(url)
  await ben.getByRole('heading', { name: 'Join Crème & Brûlée, 2nd team' }).waitFor()
  assert.match(await ben.title(), /^Join Crème & Brûlée, 2nd team/)
  assert.equal(await seats(ada).count(), 1)
  await ben.keyboard.type('Ben')
  await ben.keyboard.press('Enter')
  await live(ben)
  assert.deepEqual(ben.problems, [])
})

test('an unknown team is not found and links home', async () => {
  const ada = await newPage(browser)
  await ada.goto(`${BASE}/t/no-such-team-aaaaaa`)
  await ada.getByRole('heading', { name: 'Team not found' }).waitFor()
  assert.equal(await ada.getByLabel('Your name').count(), 0)
  await ada.getByRole('link', { name: 'Start a team' }).click()
  await ada.getByRole('heading', { name: 'What is your team called?' }).waitFor()
})

test('the join form works without a preview and shows the team name once available', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await newPage(browser)
  await ben.route('**/api/teams/*', (route) => route.fulfill({ status: 503, json: {} }))
  await ben.goto(url)
  await ben.getByRole('heading', { name: 'Join the team' }).waitFor()
  await ben.getByText('The team cannot be loaded right now.').waitFor()
  await ben.getByLabel('Your name').fill('Ben')
  await ben.unroute('**/api/teams/*')
  await ben.getByRole('heading', { name: 'Join Payments team' }).waitFor()
  assert.equal(await ben.getByLabel('Your name').inputValue(), 'Ben')
  await ben.getByRole('button', { name: 'Enter the room' }).click()
  await live(ben)
})

test('joining an unknown team without a preview is not found', async () => {
  const ada = await newPage(browser)
  await ada.route('**/api/teams/*', (route) => route.abort())
  await ada.goto(`${BASE}/t/no-such-team-aaaaaa`)
  await ada.getByLabel('Your name').fill('Ada')
  await ada.keyboard.press('Enter')
  await ada.getByRole('heading', { name: 'Team not found' }).waitFor()
})

test('an unknown path answers 404 and links home', async () => {
  const ada = await newPage(browser)
  for (const path of ['/foo/bar', '/nothing', '/t/NO']) {
    const response = await ada.goto(BASE + path)
    assert.equal(response.status(), 404, path)
    await ada.getByRole('heading', { name: 'Page not found' }).waitFor()
  }
  await ada.getByRole('link', { name: 'Start a team' }).click()
  await ada.getByRole('heading', { name: 'What is your team called?' }).waitFor()
})

test('the icon is served at its link and at /favicon.ico', async () => {
  const ada = await newPage(browser)
  await ada.goto(`${BASE}/`)
  const href = await ada.locator('link[rel=icon]').getAttribute('href')
  for (const path of [href, '/favicon.ico']) {
    const icon = await fetch(BASE + path)
    assert.equal(icon.status, 200, path)
    assert.equal(icon.headers.get('content-type'), 'image/svg+xml')
    assert.match(await icon.text(), /^<svg/)
  }
})

test('Reveal shows why it is disabled', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  const reveal = ada.getByRole('button', { name: 'Reveal No votes yet' })
  assert.equal(await reveal.getAttribute('aria-disabled'), 'true')
  const box = await primary(ada).boundingBox()
  await reveal.click({ force: true })
  await vote(ada, '5')
  await primary(ada).getByText('No votes yet').waitFor({ state: 'detached' })
  assert.equal(await primary(ada).getAttribute('aria-disabled'), 'false')
  assert.deepEqual(await primary(ada).boundingBox(), box, 'the primary action moved')
})

test('the history heading takes the focus from its link, but not after a reload', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  const focused = () => ada.evaluate(() => document.activeElement?.textContent)
  await ada.getByRole('link', { name: 'History and export' }).focus()
  await ada.keyboard.press('Enter')
  await ada.getByRole('heading', { name: 'History' }).waitFor()
  assert.equal(await focused(), 'History')
  await ada.reload()
  await ada.getByRole('heading', { name: 'History' }).waitFor()
  assert.notEqual(await focused(), 'History')
})

test('the room is full for too many tabs of one participant', async () => {
  const ada = await newPage(browser)
  const { tabs, last } = await fillRoom(ada, await createTeam(ada))
  await tabs[0].close()
  await last.getByRole('button', { name: 'Join again' }).click()
  await live(last)
})

test('the link is shared as text and as a QR code', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  await ada.getByRole('button', { name: 'Share' }).click()
  assert.equal(await ada.getByLabel('Link', { exact: true }).inputValue(), url)
  const code = ada.getByRole('img', { name: `QR code of ${url}` })
  await code.waitFor()
  assert.equal(await readQrCode(browser, code), url)
  await ada.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await ada.getByRole('button', { name: 'Copy link' }).click()
  await ada.getByRole('button', { name: 'Copied' }).waitFor()
  assert.equal(await ada.evaluate(() => navigator.clipboard.readText()), url)
})

test('name, language and theme survive a reload', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await ada.getByRole('button', { name: 'Settings' }).click()
  await ada.getByLabel('Name', { exact: true }).fill('Ada Lovelace')
  await ada.getByLabel('Name', { exact: true }).press('Enter')
  await seat(ada, 'Ada Lovelace').waitFor()
  await ada.getByRole('radio', { name: 'Dark' }).check()
  await ada.getByRole('radio', { name: 'Deutsch' }).check()
  await ada.reload()
  await live(ada)
  await ada.getByRole('button', { name: 'Einstellungen' }).waitFor()
  await seat(ada, 'Ada Lovelace').waitFor()
  const { lang, scheme } = await ada.evaluate(() => ({
    lang: document.documentElement.lang,
    scheme: getComputedStyle(document.documentElement).colorScheme,
  }))
  assert.deepEqual([lang, scheme], ['de', 'dark'])
  assert.deepEqual(ada.problems, [])
})

test('long names and titles in any script do not widen the page', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada, 'Ü'.repeat(80), 'Wolfeschlegelsteinhausenbergerdorff-Senr')
  const names = ['محمد بن عبد الله', '山田太郎', '👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 'a'.repeat(40)]
  for (const name of names) await join(browser, url, name)
  await seats(ada).nth(names.length).waitFor()
  await ada.getByLabel('Add or paste stories').fill(`${'x'.repeat(200)}\n${'עברית '.repeat(30)}`)
  await ada.getByLabel('Add or paste stories').press('Enter')
  await ada.locator('.story').nth(1).waitFor()
  await ada.locator('.story').first().getByRole('button').first().click()
  for (const width of [1280, 800, 390, 320]) {
    await ada.setViewportSize({ width, height: 800 })
    const overflow = await ada.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement
      const main = document.querySelector('main')
      return Math.max(scrollWidth - clientWidth, main.scrollWidth - main.clientWidth)
    })
    assert.ok(overflow <= 0, `${overflow} px too wide at ${width}`)
    assert.ok(await card(ada, '0').isVisible())
  }
})
