import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  addStories,
  card,
  createTeam,
  framesOf,
  hand,
  join,
  launch,
  pressPrimary,
  live,
  newPage,
  pageIn,
  primary,
  seat,
  seats,
  sentBy,
  vote,
} from './lib/browser.mjs'

let browser
before(async () => (browser = await launch()))
after(() => browser.close())

const status = (page) => page.getByTestId('vote-status')

async function useCustomDeck(page, cards) {
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByLabel('Deck').selectOption('custom')
  await page.getByLabel(/Cards, separated/).fill(cards)
  await page.getByRole('button', { name: 'Use these cards' }).click()
  await page.keyboard.press('Escape')
}

test('a round: create, join, vote, reveal, save, next story', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  assert.match(url, /\/t\/payments-team-[a-z0-9]{6}$/)
  await addStories(ada, ['PAY-480', 'PAY-481', 'PAY-482'])
  await ada.locator('.story').first().getByRole('button').first().click()
  await ada.getByRole('heading', { name: 'PAY-480' }).waitFor()
  const ben = await join(browser, url, 'Ben')
  const chen = await join(browser, url, 'Chen')
  await seats(ada).nth(2).waitFor()

  assert.equal(await primary(ada).getAttribute('aria-disabled'), 'true')
  await vote(ada, '5')
  await vote(ben, '13')
  await ada.getByText('2 of 3 have voted').waitFor()
  await ada.getByText('Waiting for Chen').waitFor()
  await vote(chen, '5')
  await ada.getByText('Everyone has voted').waitFor()

  await pressPrimary(ada)
  for (const page of [ada, ben, chen]) {
    const result = page.getByTestId('result')
    await result.waitFor()
    assert.equal(
      await page.getByTestId('summary').textContent(),
      'Ben 13, Ada and Chen 5: discuss first.',
    )
    assert.match(
      await result.locator('.figures').innerText(),
      /Median\s+5\s+Mean\s+7\.7\s+Agreement\s+6[67] %/,
    )
    const bars = await result.locator('.histogram li .visually-hidden').allTextContents()
    assert.deepEqual(bars, ['5: 2 votes', '13: 1 vote'])
    await seat(page, 'Ben').getByText('chose 13').waitFor({ state: 'attached' })
  }

  assert.match(await primary(ada).innerText(), /Save 5/)
  await card(ada, '8').click()
  assert.match(await primary(ada).innerText(), /Save 8/)
  await pressPrimary(ada)
  await ben.locator('.story').first().getByText('estimated 8').waitFor({ state: 'attached' })
  await primary(ada).getByText('Next story').waitFor()
  await pressPrimary(ada)
  for (const page of [ada, ben, chen]) {
    await page.getByRole('heading', { name: 'PAY-481' }).waitFor()
    await page.getByText('0 of 3 have voted').waitFor()
    assert.equal(await hand(page).locator('input:checked').count(), 0)
    assert.deepEqual(page.problems, [])
  }
})

test('no browser receives the vote of another one before the reveal', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await useCustomDeck(ada, 'kiwi mango papaya')
  await card(ben, 'mango').waitFor()
  const known = framesOf(ben).length

  for (const name of ['kiwi', 'papaya', 'mango']) {
    await vote(ada, name)
    await ben.getByText('1 of 2 have voted').waitFor()
  }
  await seat(ben, 'Ada').getByText('has voted').waitFor({ state: 'attached' })
  const frames = framesOf(ben).slice(known).join('\n')
  assert.ok(frames.includes('"voted"'), 'no frame to Ben reports that Ada has voted')
  const shown = await ben.locator('main').evaluate((main) => {
    const copy = main.cloneNode(true)
    copy.querySelector('#hand').remove()
    return copy.outerHTML
  })
  for (const name of ['kiwi', 'mango', 'papaya']) {
    assert.ok(!frames.includes(name), `a frame to Ben contains ${name}`)
    assert.ok(!shown.includes(name), `Ben's page contains ${name}`)
  }
  // The snapshot for a new participant contains the cards in the deck only.
  const eve = await join(browser, url, 'Eve', { observer: true })
  const snapshot = framesOf(eve)
    .map((text) => JSON.parse(text))
    .find(({ type }) => type === 'snapshot')
  delete snapshot.room.deck
  assert.ok(!JSON.stringify(snapshot).includes('mango'))

  await pressPrimary(ada)
  await seat(ben, 'Ada').getByText('chose mango').waitFor({ state: 'attached' })
})

test('a reload keeps the seat and the vote', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await vote(ben, '8')
  await ben.reload()
  await live(ben)
  await ben.getByTestId('tick').waitFor()
  assert.ok(await card(ben, '8').isChecked())
  assert.equal(await seats(ada).count(), 2)
  await seat(ada, 'Ben').getByText('has voted').waitFor({ state: 'attached' })
})

test('two tabs of one browser are one participant with one vote', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  const second = await pageIn(ben.context())
  await second.goto(url)
  await live(second)
  assert.equal(await seats(ada).count(), 2)
  await vote(ben, '8')
  await second.getByTestId('tick').waitFor()
  assert.ok(await card(second, '8').isChecked())
  await vote(second, '3')
  await ben.locator('#hand input[value="3"]:checked').waitFor()
  await ada.getByText('1 of 2 have voted').waitFor()
  await ben.close()
  await vote(second, '5')
  assert.equal(await seat(ada, 'Ben').getByText('away').count(), 0)
})

test('a vote can be cleared, and repeated after the reveal', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await vote(ada, '8')
  await card(ada, '8').click()
  await status(ada).getByText('No card chosen').waitFor()
  await ada.getByText('0 of 1 have voted').waitFor()
  await vote(ada, '5')
  await pressPrimary(ada)
  await ada.getByTestId('summary').getByText('One estimate: 5.').waitFor()
  await ada.getByRole('button', { name: 'Vote again' }).click()
  await ada.getByText('0 of 1 have voted').waitFor()
  await vote(ada, '3')
})

test('an estimate of an earlier round does not count as saved after a reload', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await addStories(ada, ['PAY-480'])
  await vote(ada, '5')
  await pressPrimary(ada)
  await pressPrimary(ada)
  await ada.getByRole('button', { name: 'Vote again' }).click()
  await ada.getByText('0 of 1 have voted').waitFor()
  await vote(ada, '8')
  await pressPrimary(ada)
  await ada.getByTestId('summary').getByText('One estimate: 8.').waitFor()
  await ada.reload()
  await live(ada)
  await primary(ada).getByText('Save 8').waitFor()
})

test('a card typed right before a reload is sent', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await card(ben, '8').waitFor()
  await ben.keyboard.press('8')
  await ben.reload()
  await live(ben)
  await ada.getByText('1 of 2 have voted').waitFor()
})

test('the cards are revealed automatically once everyone has voted', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await ada.getByRole('button', { name: 'Settings' }).click()
  await ada.getByRole('switch', { name: 'Reveal automatically' }).click()
  await ada.keyboard.press('Escape')
  await card(ada, '5').click()
  await ada.getByText('1 of 2 have voted').waitFor()
  await card(ben, '8').click()
  await ada.getByTestId('summary').getByText('Close: 5 or 8.').waitFor()
})

/** Waits until the hand shows exactly these cards. */
const handShows = (page, cards) =>
  page.waitForFunction(
    (wanted) =>
      [...document.querySelectorAll('#hand input')].map(({ value }) => value).join(' ') === wanted,
    cards,
  )

test('each deck shows its cards', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  const decks = {
    fibonacci: '0 1 2 3 5 8 13 21 34 55 89 ? ☕',
    powers_of_two: '0 1 2 4 8 16 32 64 ? ☕',
    t_shirt: 'XS S M L XL XXL ? ☕',
    modified_fibonacci: '0 ½ 1 2 3 5 8 13 20 40 100 ? ☕',
  }
  for (const [deck, cards] of Object.entries(decks)) {
    await ada.getByRole('button', { name: 'Settings' }).click()
    await ada.getByLabel('Deck').selectOption(deck)
    await ada.getByRole('button', { name: 'Use these cards' }).click()
    await ada.keyboard.press('Escape')
    await handShows(ada, cards)
  }
  await useCustomDeck(ada, '1, 2, 3')
  await handShows(ada, '1 2 3')
})

test('stories are pasted, edited, moved and removed', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await addStories(ada, ['- One', '2. Two', 'Three'])
  const titles = () => ada.locator('.story-title').allTextContents()
  const becomes = (expected) =>
    ada.waitForFunction(
      (wanted) =>
        [...document.querySelectorAll('.story-title')].map((one) => one.textContent).join() ===
        wanted,
      expected,
    )
  assert.deepEqual(await titles(), ['One', 'Two', 'Three'])
  await ada.getByRole('button', { name: 'Edit Three' }).click()
  await ada.getByRole('button', { name: 'Move up' }).click()
  await becomes('One,Three,Two')
  await ada.getByLabel('Title').fill('Third')
  await ada.getByRole('button', { name: 'Save' }).click()
  await becomes('One,Third,Two')
  await ada.getByRole('button', { name: 'Edit One' }).click()
  await ada.getByRole('button', { name: 'Remove' }).click()
  await becomes('Third,Two')
  await ada.getByRole('button', { name: 'Edit Two' }).click()
  await ada.getByRole('button', { name: 'Estimate now' }).click()
  await ada.getByRole('heading', { name: 'Two' }).waitFor()
  await ada.locator('.story').nth(1).dragTo(ada.locator('.story').nth(0))
  await becomes('Two,Third')
})

test('a double click on Reveal does not press the next action', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await addStories(ada, ['One', 'Two'])
  await ada.locator('.story').first().getByRole('button').first().click()
  await ada.getByRole('heading', { name: 'One' }).waitFor()
  await vote(ada, '8')
  await ada.locator('[data-testid=primary]:not([data-fresh])').dblclick()
  await primary(ada).getByText('Save 8').waitFor()
  const reveals = sentBy(ada).filter((text) => text.includes('"reveal"'))
  assert.equal(reveals.length, 1)
  // A further press at once, as by an impatient user.
  await primary(ada).evaluate((button) => {
    if (button.dataset.fresh !== undefined) button.click()
  })
  await pressPrimary(ada)
  await primary(ada).getByText('Next story').waitFor()
  const saves = sentBy(ada).filter((text) => text.includes('"save_estimate"'))
  assert.equal(saves.length, 1)
})

test('a pasted list longer than a message is added up to the limit of stories', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  const titles = Array.from({ length: 203 }, (_, n) => `${n} ${'故'.repeat(190)}`)
  const field = ada.getByLabel('Add or paste stories')
  await field.fill(`${titles.join('\n')}\u0007`)
  await ada.getByText('3 of these do not fit').waitFor()
  await field.press('Enter')
  await ada.locator('.story').nth(199).waitFor()
  assert.equal(await field.inputValue(), titles.slice(200).join('\n'))
  assert.deepEqual(await ada.locator('.story-title').allTextContents(), titles.slice(0, 200))
  await live(ada)
  assert.deepEqual(ada.problems, [])
})

test('the timer is shown to everyone', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await ada.getByRole('button', { name: 'Timer' }).click()
  await ada.getByRole('button', { name: 'Start 2 min' }).click()
  for (const page of [ada, ben])
    await page
      .getByRole('timer')
      .getByText(/^(2:00|1:5\d)$/)
      .waitFor()
  await ada.getByRole('button', { name: 'Stop' }).click()
  await ben.getByRole('timer').waitFor({ state: 'detached' })
})

test('the end of the timer is shown and announced despite a wrong device clock', async () => {
  const ada = await newPage(browser)
  // The shortest timer of the menu takes a minute.
  await ada.addInitScript(() => {
    const { send } = WebSocket.prototype
    WebSocket.prototype.send = function (text) {
      send.call(this, text.replace('"seconds":60', '"seconds":4'))
    }
  })
  const url = await createTeam(ada)
  const ben = await newPage(browser)
  await ben.addInitScript(() => {
    const now = Date.now
    Date.now = () => now() - 3_600_000
  })
  await ben.goto(url)
  await ben.getByLabel('Your name').fill('Ben')
  await ben.getByRole('button', { name: 'Enter the room' }).click()
  await live(ben)
  await ada.getByRole('button', { name: 'Timer' }).click()
  await ada.getByRole('button', { name: 'Start 1 min' }).click()
  await ben
    .getByRole('timer')
    .getByText(/^0:0[1-4]$/)
    .waitFor()
  for (const page of [ada, ben]) {
    await page.getByTestId('time-up').waitFor()
    await page.getByTestId('live').getByText('Time is up.').waitFor({ state: 'attached' })
  }
  await ada.getByTestId('time-up').waitFor({ state: 'detached' })
})

test('the history is listed, downloads as CSV and opens as JSON', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await addStories(ada, ['Refund, "partial"'])
  await ada.locator('.story').first().getByRole('button').first().click()
  await ada.getByRole('heading', { name: 'Refund' }).waitFor()
  await vote(ada, '8')
  await pressPrimary(ada)
  await primary(ada).getByText('Save 8').waitFor()
  await pressPrimary(ada)
  await primary(ada).getByText('New round').waitFor()
  await ada.getByRole('link', { name: 'History and export' }).click()
  const round = ada.locator('.history-round')
  // The history is written asynchronously.
  while ((await round.count()) === 0 || !(await round.innerText()).match(/Estimate\s+8/)) {
    await ada.reload()
    await ada.locator('.history-round, .history .hint').first().waitFor()
  }
  assert.match(await round.innerText(), /Refund, "partial"[\s\S]*Ada 8[\s\S]*Median\s+8/)
  const link = ada.getByRole('link', { name: 'Download CSV' })
  const [download] = await Promise.all([ada.waitForEvent('download'), link.click()])
  const csv = await (await download.createReadStream()).setEncoding('utf8').toArray()
  assert.match(csv.join(''), /"Refund, ""partial"""/)
  const [opened] = await Promise.all([
    ada.context().waitForEvent('page'),
    ada.getByRole('link', { name: 'Open JSON' }).click(),
  ])
  await opened.waitForLoadState()
  const json = JSON.parse(await opened.evaluate(() => document.body.innerText))
  assert.equal(json.rounds[0].estimate, '8')
  await opened.close()
  await ada.getByRole('link', { name: 'Back to the room' }).click()
  await primary(ada).waitFor()
})
