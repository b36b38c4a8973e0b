import type { Announcement } from '../room/announce'
import type { Talk } from '../room/talk'
import type { Catalogue } from './en'

const list = new Intl.ListFormat('de', { type: 'conjunction' })
const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`

export const de: Catalogue = {
  app: {
    name: 'Planning Poker',
    skip: 'Zu den Karten',
    loading: 'Der Raum wird geöffnet…',
    close: 'Schließen',
    save: 'Speichern',
  },
  home: {
    question: 'Wie heißt euer Team?',
    placeholder: 'Team Zahlungen',
    start: 'Loslegen',
    starting: 'Es geht los…',
    promise: 'Ohne Konto. Link teilen, und das Team ist da.',
    recent: 'Deine Teams',
    forget: (team) => `${team} vergessen`,
    nameMissing: 'Gib dem Team erst einen Namen.',
    failed: 'Der Server antwortet nicht. Versuch es gleich noch einmal.',
  },
  join: {
    looking: 'Das Team wird gesucht…',
    title: (team) => `${team} beitreten`,
    untitled: 'Dem Team beitreten',
    away: 'Der Server findet das Team gerade nicht. Tritt trotzdem ein: Die Seite versucht es weiter.',
    create: (team) => `Willkommen bei ${team}`,
    name: 'Dein Name',
    nameMissing: 'Sag den anderen, wer du bist.',
    role: 'Ich will',
    voter: 'Schätzen',
    voterHint: 'Zu jeder Story eine Karte wählen',
    observer: 'Zuschauen',
    observerHint: 'Dabei sein, ohne Karte',
    submit: 'Eintreten',
  },
  pill: {
    label: 'Verbindung',
    live: 'Live',
    saving: 'Speichert…',
    checking: 'Wird geprüft…',
    connecting: 'Verbindet…',
    reconnecting: (seconds) => `Neuer Versuch in ${seconds} s`,
    now: 'jetzt',
    offline: 'Offline',
    offlineKept: 'Offline, deine Karte bleibt',
    closed: 'Nicht verbunden',
  },
  header: {
    home: 'Alle Teams',
    share: 'Teilen',
    settings: 'Einstellungen',
    stories: 'Storys',
    keys: 'Tasten',
    dark: 'Dunkel',
    light: 'Hell',
  },
  stories: {
    title: 'Storys',
    empty: 'Noch keine Storys. Schätzt ohne, oder füge eine Liste ein.',
    emptyOthers: 'Noch keine Storys. Schätzen geht auch ohne.',
    add: 'Storys eingeben oder einfügen',
    full: (n) =>
      `${n === 1 ? 'Eine davon passt' : `${n} davon passen`} nicht hinein: Ein Raum fasst 200 Storys. Was nicht passt, bleibt hier.`,
    addButton: (n) => (n > 1 ? `${n} Storys hinzufügen` : 'Story hinzufügen'),
    estimate: (card) => `geschätzt: ${card}`,
    current: 'wird geschätzt',
    open: 'nicht geschätzt',
    edit: (title) => `${title} bearbeiten`,
    history: 'Verlauf und Export',
    progress: (done, all) => `${done} von ${all} geschätzt`,
  },
  story: {
    dialog: 'Story',
    title: 'Titel',
    up: 'Nach oben',
    down: 'Nach unten',
    select: 'Jetzt schätzen',
    remove: 'Entfernen',
  },
  round: {
    noStory: 'Eine Schätzung ohne Story',
    number: (n) => `Runde ${n}`,
    position: (n, all) => `Story ${n} von ${all}`,
    voted: (n, all) => `${n} von ${all} haben gewählt`,
    nobody: 'Noch schätzt niemand',
    waitingFor: (names) => `Es fehlen: ${list.format(names)}`,
    waitingForMany: (names, more) => `Es fehlen: ${list.format([...names, `${more} weitere`])}`,
    everyone: 'Alle haben gewählt',
    reveal: 'Aufdecken',
    revealWaits: 'Noch hat niemand gewählt',
    save: (card) => `${card} speichern`,
    next: 'Nächste Story',
    nextRound: 'Neue Runde',
    again: 'Noch einmal',
    savedAs: (card) => `Gespeichert: ${card}`,
    waitReveal: (name) => `${name} deckt auf`,
    waitNext: (name) => `${name} macht weiter`,
    takeOver: 'Übernehmen',
    noFacilitator: 'Niemand leitet diese Runde.',
    facilitatorAway: (name) => `${name} ist nicht da.`,
  },
  people: {
    title: 'Personen',
    you: 'du',
    facilitator: 'Leitung',
    hasVoted: 'hat gewählt',
    thinking: 'hat nicht gewählt',
    noVote: 'keine Karte',
    chose: (card) => `wählte ${card}`,
    away: 'nicht da',
    observers: 'Zuschauende',
    left: (n) => `und ${plural(n, 'Karte', 'Karten')} von Leuten, die gegangen sind`,
    actions: (name) => `Aktionen für ${name}`,
    makeFacilitator: 'Leitung übergeben',
    makeFacilitatorHint: 'Du gibst die Leitung ab.',
    remove: 'Aus dem Raum entfernen',
    removeHint: 'Der Link lässt sie wieder herein.',
  },
  hand: {
    title: 'Deine Karte',
    estimate: 'Die Schätzung',
    observer: 'Du schaust zu.',
    becomeVoter: 'Mitschätzen',
    sent: 'Deine Karte ist da',
    sending: 'Deine Karte wird gesendet…',
    none: 'Keine Karte gewählt',
    revealed: 'Die Karten liegen auf dem Tisch',
    coffee: 'Kaffeepause',
    unsure: 'Nicht sicher',
    half: 'Ein halb',
  },
  result: {
    title: 'Ergebnis',
    median: 'Median',
    mean: 'Mittel',
    agreement: 'Einigkeit',
    percent: (n) => `${n} %`,
    none: '–',
    histogram: 'Stimmen je Karte',
    votes: (n) => plural(n, 'Stimme', 'Stimmen'),
    talk: (talk: Talk): string => {
      switch (talk.kind) {
        case 'agreed':
          return `Alle wählten ${talk.card}.`
        case 'alone':
          return `Eine Schätzung: ${talk.card}.`
        case 'close':
          return `Knapp: ${talk.low} oder ${talk.high}.`
        case 'apart':
          return `${who(talk.high.names)} ${talk.high.card}, ${who(talk.low.names)} ${talk.low.card}: erst reden.`
        case 'no_estimate':
          return 'Noch keine Schätzung: erst reden.'
      }
    },
  },
  timer: {
    label: 'Uhr',
    minutes: (n) => `${n} min`,
    start: (n) => `${n} min stellen`,
    stop: 'Anhalten',
    left: 'Restzeit',
    over: 'Die Zeit ist um',
  },
  share: {
    title: 'Team einladen',
    hint: 'Wer den Link hat, kann mitmachen.',
    link: 'Link',
    copy: 'Link kopieren',
    copied: 'Kopiert',
    failed: 'Markiere den Link und kopiere ihn.',
    qr: (link) => `QR-Code von ${link}`,
  },
  settings: {
    title: 'Einstellungen',
    you: 'Du',
    name: 'Name',
    role: 'Rolle',
    voter: 'Schätzen',
    observer: 'Zuschauen',
    page: 'Diese Seite',
    theme: 'Farben',
    themes: { system: 'System', light: 'Hell', dark: 'Dunkel' },
    language: 'Sprache',
    keys: 'Einzelne Tasten',
    keysHint: 'R deckt auf, N geht weiter, Ziffern wählen eine Karte.',
    showKeys: 'Alle Tasten zeigen',
    team: 'Team',
    teamName: 'Name des Teams',
    deck: 'Karten',
    decks: {
      fibonacci: 'Fibonacci',
      modified_fibonacci: 'Fibonacci, gerundet',
      t_shirt: 'T-Shirt-Größen',
      powers_of_two: 'Zweierpotenzen',
      custom: 'Eigene Karten',
    },
    cards: 'Karten, getrennt durch Leerzeichen oder Kommas',
    cardsInvalid: '2 bis 32 Karten mit je höchstens 8 Zeichen.',
    useDeck: 'Diese Karten nehmen',
    deckDiscards: 'Andere Karten beginnen die Runde neu, ohne die Stimmen, die sie hat.',
    autoReveal: 'Von selbst aufdecken',
    autoRevealHint: 'Sobald alle, die da sind, gewählt haben.',
    facilitatorOnly: 'Das ändert nur die Leitung.',
  },
  keys: {
    title: 'Tasten',
    off: 'Einzelne Tasten sind in den Einstellungen ausgeschaltet.',
    digits: '0 … 9',
    digitsDo: 'Die Karte mit dieser Zahl wählen',
    arrows: '← →',
    arrowsDo: 'Die Karte daneben wählen',
    clear: 'Rücktaste',
    clearDo: 'Die Karte zurücknehmen',
    reveal: 'Aufdecken',
    again: 'Noch einmal schätzen',
    save: 'Schätzung speichern',
    enter: 'Enter',
    next: 'Nächste Story',
    help: 'Tasten zeigen',
    escape: 'Esc',
    escapeDo: 'Dialog schließen',
  },
  history: {
    title: 'Verlauf',
    back: 'Zurück zum Raum',
    csv: 'CSV laden',
    json: 'JSON öffnen',
    empty: 'Noch nichts aufgedeckt. Jede aufgedeckte Runde wird hier stehen.',
    failed: 'Der Verlauf lässt sich gerade nicht lesen. Der Raum geht weiter.',
    retry: 'Noch einmal versuchen',
    loading: 'Der Verlauf wird gelesen…',
    olderLeftOut: (rounds: number) =>
      `Das sind die neuesten ${rounds} Runden. Ältere bleiben gespeichert und stehen hier nicht.`,
    round: 'Runde',
    votes: 'Karten',
    median: 'Median',
    mean: 'Mittel',
    agreement: 'Einigkeit',
    estimate: 'Schätzung',
    noStory: 'Ohne Story',
    none: '–',
  },
  stopped: {
    team_not_found: {
      title: 'Hier gibt es kein Team',
      text: 'Unter diesem Link hat niemand ein Team gegründet, oder er ist unvollständig. Prüf ihn, oder gründe ein eigenes Team.',
    },
    removed: {
      title: 'Du wurdest aus dem Raum entfernt',
      text: 'Die Leitung hat dich von der Liste genommen. War es ein Versehen, komm wieder herein.',
    },
    too_many: {
      title: 'Dieser Raum ist voll',
      text: 'Schließ andere Tabs mit diesem Team, oder versuch es, wenn jemand gegangen ist.',
    },
    bad_hello: {
      title: 'Der Server hat diese Seite nicht hereingelassen',
      text: 'Lade die Seite neu. Hilft das nicht, prüf deinen Namen in den Einstellungen.',
    },
    unsupported_protocol: {
      title: 'Es gibt eine neuere Fassung dieser Seite',
      text: 'Lade die Seite neu. Dein Platz und deine Karte bleiben.',
    },
    unknown_page: { title: 'Hier ist nichts', text: 'Prüf den Link, oder gründe ein Team.' },
    home: 'Team gründen',
    again: 'Wieder hereinkommen',
    reload: 'Neu laden',
  },
  errors: {
    not_facilitator: 'Das kann nur die Leitung.',
    stale_round: 'Die Runde war schon weiter.',
    already_revealed: 'Die Karten waren schon aufgedeckt.',
    not_revealed: 'Erst aufdecken.',
    no_votes: 'Noch hat niemand gewählt.',
    no_story: 'Es gibt keine Story, zu der gespeichert werden kann.',
    too_many_stories: 'Die Liste ist voll: Entfern erst ein paar Storys.',
    facilitator_present: 'Jemand anderes leitet schon.',
    not_a_voter: 'Wer zuschaut, hat keine Karte. Ändere deine Rolle in den Einstellungen.',
    invalid_name: 'Dieser Name geht nicht.',
    invalid_title: 'Dieser Titel geht nicht.',
    message_too_large: 'Das war zu viel auf einmal. Versuch es in Teilen.',
    invalid_deck: 'Diese Karten gehen nicht.',
    unknown_story: 'Diese Story gibt es nicht mehr.',
    unknown_participant: 'Diese Person ist gegangen.',
    other: 'Das ging nicht. Versuch es noch einmal.',
  },
  announce: (what: Announcement): string => {
    switch (what.kind) {
      case 'voted':
        return `${what.name} hat gewählt, ${what.voted} von ${what.voters}.`
      case 'unvoted':
        return `${what.name} hat die Karte zurückgenommen, ${what.voted} von ${what.voters}.`
      case 'revealed':
        return what.median === null
          ? 'Aufgedeckt: keine Schätzung.'
          : `Aufgedeckt: Median ${what.median}, Einigkeit ${what.agreement} Prozent.`
      case 'round':
        return what.title === null ? 'Neue Runde.' : `Neue Runde: ${what.title}.`
      case 'saved':
        return `${what.card} gespeichert.`
      case 'time_up':
        return 'Die Zeit ist um.'
      case 'joined':
        return `${what.name} ist da.`
      case 'left':
        return `${what.name} ist gegangen.`
      case 'away':
        return `${what.name} ist nicht da.`
      case 'back':
        return `${what.name} ist zurück.`
      case 'facilitates':
        return `${what.name} leitet jetzt.`
    }
  },
}

/** Höchstens zwei Namen, damit der Satz einer bleibt. */
function who(names: string[]): string {
  return names.length > 2
    ? list.format([...names.slice(0, 2), `${names.length - 2} weitere`])
    : list.format(names)
}
