/** Every text of the page in English; the shape that all catalogues share. */
import type { Announcement } from '../room/announce'
import type { Talk } from '../room/talk'

const list = new Intl.ListFormat('en', { type: 'conjunction' })
const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`

export const en = {
  app: {
    name: 'Planning poker',
    skip: 'Skip to the cards',
    loading: 'Opening the room…',
    close: 'Close',
    save: 'Save',
  },
  home: {
    question: 'What is your team called?',
    placeholder: 'Payments team',
    start: 'Start estimating',
    starting: 'Starting…',
    promise: 'No account. Share the link, and the team is in.',
    recent: 'Your teams',
    forget: (team: string) => `Forget ${team}`,
    nameMissing: 'Give the team a name first.',
    failed: 'The server did not answer. Try again in a moment.',
  },
  join: {
    looking: 'Looking for the team…',
    title: (team: string) => `Join ${team}`,
    untitled: 'Join the team',
    away: 'The server cannot find the team right now. Come in all the same: the page keeps trying.',
    create: (team: string) => `Welcome to ${team}`,
    name: 'Your name',
    nameMissing: 'Tell the others who you are.',
    role: 'I will',
    voter: 'Estimate',
    voterHint: 'Choose a card for every story',
    observer: 'Observe',
    observerHint: 'Watch, without a card',
    submit: 'Enter the room',
  },
  pill: {
    label: 'Connection',
    live: 'Live',
    saving: 'Saving…',
    checking: 'Checking…',
    connecting: 'Connecting…',
    reconnecting: (seconds: number) => `Reconnecting in ${seconds} s`,
    now: 'now',
    offline: 'Offline',
    offlineKept: 'Offline, your vote is kept',
    closed: 'Not connected',
  },
  header: {
    home: 'All teams',
    share: 'Share',
    settings: 'Settings',
    stories: 'Stories',
    keys: 'Keys',
    dark: 'Switch to dark',
    light: 'Switch to light',
  },
  stories: {
    title: 'Stories',
    empty: 'No stories yet. You can vote without one, or paste a list.',
    emptyOthers: 'No stories yet. You can vote without one.',
    add: 'Add or paste stories',
    full: (n: number) =>
      `${n === 1 ? 'One of these does' : `${n} of these do`} not fit: a room holds 200 stories. What does not fit stays here.`,
    addButton: (n: number) => (n > 1 ? `Add ${n} stories` : 'Add story'),
    estimate: (card: string) => `estimated ${card}`,
    current: 'being estimated',
    open: 'not estimated',
    edit: (title: string) => `Edit ${title}`,
    history: 'History and export',
    progress: (done: number, all: number) => `${done} of ${all} estimated`,
  },
  story: {
    dialog: 'Story',
    title: 'Title',
    up: 'Move up',
    down: 'Move down',
    select: 'Estimate now',
    remove: 'Remove',
  },
  round: {
    noStory: 'A vote without a story',
    number: (n: number) => `Round ${n}`,
    position: (n: number, all: number) => `Story ${n} of ${all}`,
    voted: (n: number, all: number) => `${n} of ${all} have voted`,
    nobody: 'Nobody here estimates yet',
    waitingFor: (names: string[]) => `Waiting for ${list.format(names)}`,
    waitingForMany: (names: string[], more: number) =>
      `Waiting for ${list.format([...names, `${more} more`])}`,
    everyone: 'Everyone has voted',
    reveal: 'Reveal',
    revealWaits: 'Nobody has voted yet',
    save: (card: string) => `Save ${card}`,
    next: 'Next story',
    nextRound: 'New round',
    again: 'Vote again',
    savedAs: (card: string) => `Saved as ${card}`,
    waitReveal: (name: string) => `${name} reveals the cards`,
    waitNext: (name: string) => `${name} leads on`,
    takeOver: 'Take over',
    noFacilitator: 'Nobody leads this round.',
    facilitatorAway: (name: string) => `${name} is away.`,
  },
  people: {
    title: 'People',
    you: 'you',
    facilitator: 'facilitator',
    hasVoted: 'has voted',
    thinking: 'has not voted',
    noVote: 'no vote',
    chose: (card: string) => `chose ${card}`,
    away: 'away',
    observers: 'Observers',
    left: (n: number) => `and ${plural(n, 'vote', 'votes')} of people who left`,
    actions: (name: string) => `Actions for ${name}`,
    makeFacilitator: 'Make facilitator',
    makeFacilitatorHint: 'You hand the lead over.',
    remove: 'Remove from the room',
    removeHint: 'The link lets them in again.',
  },
  hand: {
    title: 'Your card',
    estimate: 'The estimate',
    observer: 'You are observing.',
    becomeVoter: 'Estimate too',
    sent: 'Your vote is in',
    sending: 'Sending your vote…',
    none: 'No card chosen',
    revealed: 'The cards are on the table',
    coffee: 'Coffee break',
    unsure: 'Not sure',
    half: 'One half',
  },
  result: {
    title: 'Result',
    median: 'Median',
    mean: 'Mean',
    agreement: 'Agreement',
    percent: (n: number) => `${n} %`,
    none: '–',
    histogram: 'Votes per card',
    votes: (n: number) => plural(n, 'vote', 'votes'),
    talk: (talk: Talk): string => {
      switch (talk.kind) {
        case 'agreed':
          return `Everyone chose ${talk.card}.`
        case 'alone':
          return `One estimate: ${talk.card}.`
        case 'close':
          return `Close: ${talk.low} or ${talk.high}.`
        case 'apart':
          return `${who(talk.high.names)} ${talk.high.card}, ${who(talk.low.names)} ${talk.low.card}: talk first.`
        case 'no_estimate':
          return 'No estimate yet: talk first.'
      }
    },
  },
  timer: {
    label: 'Timer',
    minutes: (n: number) => `${n} min`,
    start: (n: number) => `Start ${n} min`,
    stop: 'Stop',
    left: 'Time left',
    over: 'Time is up',
  },
  share: {
    title: 'Invite the team',
    hint: 'Whoever has the link can join.',
    link: 'Link',
    copy: 'Copy link',
    copied: 'Copied',
    failed: 'Select the link and copy it.',
    qr: (link: string) => `QR code of ${link}`,
  },
  settings: {
    title: 'Settings',
    you: 'You',
    name: 'Name',
    role: 'Role',
    voter: 'Estimate',
    observer: 'Observe',
    page: 'This page',
    theme: 'Theme',
    themes: { system: 'System', light: 'Light', dark: 'Dark' },
    language: 'Language',
    keys: 'Single-letter keys',
    keysHint: 'R reveals, N goes on, digits choose a card.',
    showKeys: 'Show all keys',
    team: 'Team',
    teamName: 'Team name',
    deck: 'Deck',
    decks: {
      fibonacci: 'Fibonacci',
      modified_fibonacci: 'Modified Fibonacci',
      t_shirt: 'T-shirt sizes',
      powers_of_two: 'Powers of two',
      custom: 'Own cards',
    },
    cards: 'Cards, separated by spaces or commas',
    cardsInvalid: '2 to 32 cards of up to 8 characters each.',
    useDeck: 'Use these cards',
    deckDiscards: 'Another deck starts the round anew, without the votes it has.',
    autoReveal: 'Reveal by itself',
    autoRevealHint: 'As soon as everyone here has voted.',
    facilitatorOnly: 'Only the facilitator changes these.',
  },
  keys: {
    title: 'Keys',
    off: 'Single-letter keys are switched off in the settings.',
    digits: '0 … 9',
    digitsDo: 'Choose the card with this number',
    arrows: '← →',
    arrowsDo: 'Choose the card beside',
    clear: 'Backspace',
    clearDo: 'Take the card back',
    reveal: 'Reveal the cards',
    again: 'Vote again',
    save: 'Save the estimate',
    enter: 'Enter',
    next: 'Next story',
    help: 'Show the keys',
    escape: 'Esc',
    escapeDo: 'Close a dialog',
  },
  history: {
    title: 'History',
    back: 'Back to the room',
    csv: 'Download CSV',
    json: 'Open JSON',
    empty: 'Nothing revealed yet. Every revealed round will stand here.',
    failed: 'The history cannot be read right now. The room works on.',
    retry: 'Try again',
    loading: 'Reading the history…',
    olderLeftOut: (rounds: number) =>
      `These are the newest ${rounds} rounds. Older ones are kept and not shown here.`,
    round: 'Round',
    votes: 'Votes',
    median: 'Median',
    mean: 'Mean',
    agreement: 'Agreement',
    estimate: 'Estimate',
    noStory: 'Without a story',
    none: '–',
  },
  stopped: {
    team_not_found: {
      title: 'There is no team here',
      text: 'Nobody has started a team at this link, or the link is incomplete. Check it, or start a team of your own.',
    },
    removed: {
      title: 'You were removed from this room',
      text: 'The facilitator took you off the list. If that was a mistake, come in again.',
    },
    too_many: {
      title: 'This room is full',
      text: 'Close other tabs with this team, or try again when someone has left.',
    },
    bad_hello: {
      title: 'The server did not let this page in',
      text: 'Load the page again. If that does not help, check your name in the settings.',
    },
    unsupported_protocol: {
      title: 'There is a newer version of this page',
      text: 'Load the page again to get it. Your seat and your vote are kept.',
    },
    unknown_page: { title: 'There is nothing here', text: 'Check the link, or start a team.' },
    home: 'Start a team',
    again: 'Come in again',
    reload: 'Load again',
  },
  errors: {
    not_facilitator: 'Only the facilitator can do that.',
    stale_round: 'The round had moved on already.',
    already_revealed: 'The cards were already revealed.',
    not_revealed: 'Reveal the cards first.',
    no_votes: 'Nobody has voted yet.',
    no_story: 'There is no story to save to.',
    too_many_stories: 'The list is full: remove some stories first.',
    facilitator_present: 'Someone else leads already.',
    not_a_voter: 'Observers have no card. Change your role in the settings.',
    invalid_name: 'That name cannot be used.',
    invalid_title: 'That title cannot be used.',
    message_too_large: 'That was too much at once. Try it in parts.',
    invalid_deck: 'These cards cannot be used.',
    unknown_story: 'That story is gone.',
    unknown_participant: 'That person has left.',
    other: 'That did not work. Try again.',
  },
  announce: (what: Announcement): string => {
    switch (what.kind) {
      case 'voted':
        return `${what.name} voted, ${what.voted} of ${what.voters}.`
      case 'unvoted':
        return `${what.name} took the vote back, ${what.voted} of ${what.voters}.`
      case 'revealed':
        return what.median === null
          ? 'Revealed: no estimate.'
          : `Revealed: median ${what.median}, agreement ${what.agreement} per cent.`
      case 'round':
        return what.title === null ? 'New round.' : `New round: ${what.title}.`
      case 'saved':
        return `Saved ${what.card}.`
      case 'time_up':
        return 'Time is up.'
      case 'joined':
        return `${what.name} joined.`
      case 'left':
        return `${what.name} left.`
      case 'away':
        return `${what.name} is away.`
      case 'back':
        return `${what.name} is back.`
      case 'facilitates':
        return `${what.name} facilitates now.`
    }
  },
}

/** At most two names, so that the sentence stays one. */
function who(names: string[]): string {
  return names.length > 2
    ? list.format([...names.slice(0, 2), `${names.length - 2} more`])
    : list.format(names)
}

export type Catalogue = typeof en
