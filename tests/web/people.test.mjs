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

test('home lists the teams that this browser has been in', async () => {
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

test('home asks for a name when there is none', async () => {
  const ada = await newPage(browser)
  await ada.goto(`${BASE}/`)
  await ada.getByRole('button', { name: 'Start estimating' }).click()
  await ada.getByText('Give the team a name first.').waitFor()
})

test('an observer watches without a card, and can change the mind', async () => {
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

test('the lead is handed over', async () => {
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

test('the lead can be taken over from someone who left', async () => {
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

test('whoever is removed is told, and may come in again', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await ada.getByRole('button', { name: 'Actions for Ben' }).click()
  await ada.getByRole('button', { name: /Remove from the room/ }).click()
  await ben.getByRole('heading', { name: 'You were removed from this room' }).waitFor()
  await seat(ada, 'Ben').waitFor({ state: 'detached' })
  await ben.getByRole('button', { name: 'Come in again' }).click()
  await live(ben)
  await seat(ada, 'Ben').waitFor()
})

test('a shared link names the team before anybody joins, and nobody notices', async () => {
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

test('a link to no team says so before it asks for a name, and leads home', async () => {
  const ada = await newPage(browser)
  await ada.goto(`${BASE}/t/no-such-team-aaaaaa`)
  await ada.getByRole('heading', { name: 'There is no team here' }).waitFor()
  assert.equal(await ada.getByLabel('Your name').count(), 0)
  await ada.getByRole('link', { name: 'Start a team' }).click()
  await ada.getByRole('heading', { name: 'What is your team called?' }).waitFor()
})

test('a server that cannot tell keeps nobody out, and names the team when it can', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await newPage(browser)
  await ben.route('**/api/teams/*', (route) => route.fulfill({ status: 503, json: {} }))
  await ben.goto(url)
  await ben.getByRole('heading', { name: 'Join the team' }).waitFor()
  await ben.getByText('The server cannot find the team right now.').waitFor()
  await ben.getByLabel('Your name').fill('Ben')
  await ben.unroute('**/api/teams/*')
  await ben.getByRole('heading', { name: 'Join Payments team' }).waitFor()
  assert.equal(await ben.getByLabel('Your name').inputValue(), 'Ben')
  await ben.getByRole('button', { name: 'Enter the room' }).click()
  await live(ben)
})

test('a team that went while the server was away is told after all', async () => {
  const ada = await newPage(browser)
  await ada.route('**/api/teams/*', (route) => route.abort())
  await ada.goto(`${BASE}/t/no-such-team-aaaaaa`)
  await ada.getByLabel('Your name').fill('Ada')
  await ada.keyboard.press('Enter')
  await ada.getByRole('heading', { name: 'There is no team here' }).waitFor()
})

test('a path that leads nowhere is not found, says so and leads home', async () => {
  const ada = await newPage(browser)
  for (const path of ['/foo/bar', '/nothing', '/t/NO']) {
    const response = await ada.goto(BASE + path)
    assert.equal(response.status(), 404, path)
    await ada.getByRole('heading', { name: 'There is nothing here' }).waitFor()
  }
  await ada.getByRole('link', { name: 'Start a team' }).click()
  await ada.getByRole('heading', { name: 'What is your team called?' }).waitFor()
})

test('there is an icon, also where browsers look without being told', async () => {
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

test('Reveal says why it waits', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  const reveal = ada.getByRole('button', { name: 'Reveal Nobody has voted yet' })
  assert.equal(await reveal.getAttribute('aria-disabled'), 'true')
  const box = await primary(ada).boundingBox()
  await reveal.click({ force: true })
  await vote(ada, '5')
  await primary(ada).getByText('Nobody has voted yet').waitFor({ state: 'detached' })
  assert.equal(await primary(ada).getAttribute('aria-disabled'), 'false')
  assert.deepEqual(await primary(ada).boundingBox(), box, 'the primary action moved')
})

test('the heading of the history takes the focus from the link, and not from a page just opened', async () => {
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

test('too many tabs of one person', async () => {
  const ada = await newPage(browser)
  const { tabs, last } = await fillRoom(ada, await createTeam(ada))
  await tabs[0].close()
  await last.getByRole('button', { name: 'Come in again' }).click()
  await live(last)
})

test('the link is shared as text and as a code', async () => {
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

test('settings last: name, language, theme', async () => {
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

test('names and titles of any length and script neither break the page nor widen it', async () => {
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
