import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  BASE,
  addStories,
  card,
  createTeam,
  hand,
  join,
  launch,
  pressPrimary,
  live,
  newPage,
  primary,
  vote,
} from './lib/browser.mjs'

let browser
before(async () => (browser = await launch()))
after(() => browser.close())

/** Presses keys and records them. */
function keys(page) {
  const pressed = []
  return {
    pressed,
    async press(key) {
      pressed.push(key)
      await page.keyboard.press(key)
    },
  }
}

const focused = (page) => page.evaluate(() => document.activeElement?.textContent)

test('a team is created and joined by keyboard', async () => {
  const ada = await newPage(browser)
  await ada.goto(`${BASE}/`)
  await ada.keyboard.type('Payments team')
  await ada.keyboard.press('Enter')
  await ada.getByLabel('Your name').waitFor()
  await ada.keyboard.type('Ada')
  await ada.keyboard.press('Enter')
  await live(ada)
})

test('a round takes at most six keystrokes and moves the focus to the next story', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  await addStories(ada, ['One', 'Two'])
  await ada.locator('.story').first().getByRole('button').first().click()
  await ada.getByRole('heading', { name: 'One' }).waitFor()
  await vote(ben, '8')

  const { press, pressed } = keys(ada)
  await press('8')
  await ada.getByTestId('tick').waitFor()
  await press('r')
  await primary(ada).getByText('Save 8').waitFor()
  await press('Enter')
  await primary(ada).getByText('Next story').waitFor()
  await press('n')
  await ada.getByRole('heading', { name: 'Two' }).waitFor()
  assert.ok(pressed.length <= 6, pressed.join(' '))
  assert.equal(await focused(ada), 'Two')
  assert.notEqual(await focused(ben), 'Two')
})

test('cards are chosen by typing and by arrow keys', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await ada.keyboard.press('1')
  await ada.keyboard.press('3')
  await ada.getByTestId('tick').waitFor()
  assert.ok(await card(ada, '13').isChecked())
  await ada.keyboard.press('ArrowRight')
  await ada.getByTestId('tick').waitFor()
  assert.ok(await card(ada, '20').isChecked())
  await card(ada, '20').focus()
  await ada.keyboard.press('ArrowLeft')
  await ada.keyboard.press('ArrowLeft')
  await ada.locator('#hand input[value="8"]:checked').waitFor()
  assert.equal(await ada.evaluate(() => document.activeElement.value), '8')
  await ada.keyboard.press('Backspace')
  await ada.getByText('No card chosen').waitFor()
})

test('V votes again, ? shows the shortcuts', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await ada.keyboard.press('8')
  await ada.keyboard.press('r')
  await ada.getByTestId('result').waitFor()
  await ada.keyboard.press('v')
  await ada.getByText('0 of 1 have voted').waitFor()
  await ada.keyboard.press('?')
  await ada.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
  await ada.keyboard.press('8')
  await ada.keyboard.press('Escape')
  await ada.getByRole('dialog').waitFor({ state: 'detached' })
  assert.equal(await hand(ada).locator('input:checked').count(), 0)
})

test('the focus stays near a control that is removed when pressed', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const ben = await join(browser, url, 'Ben')
  const press = async (page, name) => {
    await page.getByRole('button', { name }).focus()
    await page.keyboard.press('Enter')
  }
  await vote(ada, '8')
  await pressPrimary(ada)
  await press(ada, 'Vote again')
  await ada.getByText('0 of 2 have voted').waitFor()
  assert.match(await focused(ada), /^Reveal/)
  await press(ada, 'Timer')
  await press(ada, 'Start 2 min')
  await ada.getByRole('timer').waitFor()
  assert.match(await focused(ada), /^Stop/)
  await ada.keyboard.press('Enter')
  await ada.getByRole('timer').waitFor({ state: 'detached' })
  assert.match(await focused(ada), /^Timer/)
  await ada.close()
  await press(ben, 'Take over')
  await primary(ben).waitFor()
  assert.match(await focused(ben), /^Reveal/)
})

test('single-letter shortcuts are ignored in text fields and can be switched off', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  await vote(ada, '5')
  await ada.getByLabel('Add or paste stories').pressSequentially('r8 v?')
  assert.equal(await ada.getByLabel('Add or paste stories').inputValue(), 'r8 v?')
  assert.ok(await card(ada, '5').isChecked())
  await ada.getByLabel('Add or paste stories').fill('')
  await ada.getByRole('button', { name: 'Settings' }).click()
  await ada.getByRole('switch', { name: 'Single-letter shortcuts' }).click()
  await ada.keyboard.press('Escape')
  await ada.getByRole('dialog').waitFor({ state: 'detached' })
  for (const key of ['8', 'r', '?']) await ada.keyboard.press(key)
  assert.ok(await card(ada, '5').isChecked())
  assert.equal(await ada.getByRole('dialog').count(), 0)
  assert.match(await primary(ada).innerText(), /Reveal/)
})

test('the live region announces events', async () => {
  const ada = await newPage(browser)
  const url = await createTeam(ada)
  const region = ada.getByTestId('live')
  const ben = await join(browser, url, 'Ben')
  await region.getByText('Ben joined.').waitFor({ state: 'attached' })
  await vote(ben, '5')
  await region.getByText('Ben voted, 1 of 2.').waitFor({ state: 'attached' })
  await pressPrimary(ada)
  await region
    .getByText('Revealed: median 5, agreement 100 per cent.')
    .waitFor({ state: 'attached' })
})

test('a dialog keeps the focus and restores it on close', async () => {
  const ada = await newPage(browser)
  await createTeam(ada)
  const opener = ada.getByRole('button', { name: 'Settings' })
  await opener.focus()
  await ada.keyboard.press('Enter')
  await ada.getByRole('dialog', { name: 'Settings' }).waitFor()
  for (let presses = 0; presses < 30; presses += 1) {
    await ada.keyboard.press('Tab')
    const inside = await ada.evaluate(
      () => document.activeElement === document.body || !!document.activeElement.closest('dialog'),
    )
    assert.ok(inside, 'the focus left the dialog')
  }
  await ada.keyboard.press('Escape')
  await ada.getByRole('dialog').waitFor({ state: 'detached' })
  assert.ok(await opener.evaluate((button) => button === document.activeElement))
})
