const PATHS = {
  share: 'M4 12v7a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-7M12 15V3m0 0L8 7m4-4 4 4',
  settings:
    'M12 15.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM19 13.5v-3l-2.2-.5-.7-1.7 1.2-1.9-2.1-2.1-1.9 1.2-1.7-.7-.5-2.2h-3l-.5 2.2-1.7.7-1.9-1.2-2.1 2.1 1.2 1.9-.7 1.7-2.2.5v3l2.2.5.7 1.7-1.2 1.9 2.1 2.1 1.9-1.2 1.7.7.5 2.2h3l.5-2.2 1.7-.7 1.9 1.2 2.1-2.1-1.2-1.9.7-1.7z',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z',
  sun: 'M12 16.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM12 2v2m0 16v2M4.9 4.9l1.4 1.4m11.4 11.4 1.4 1.4M2 12h2m16 0h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4',
  keyboard:
    'M3 6h18a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1Zm3 4h.01M10 10h.01M14 10h.01M18 10h.01M7 14h10',
  menu: 'M4 6h16M4 12h16M4 18h10',
  close: 'M6 6l12 12M18 6 6 18',
  check: 'M5 12.5 10 17.5 19 7',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  plus: 'M12 5v14M5 12h14',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3 2',
  history: 'M4 5v4h4M4.5 9A8.5 8.5 0 1 1 3.5 13M12 8v4.5l3 1.5',
  again: 'M20 5v5h-5M4 19v-5h5M19.5 10A8 8 0 0 0 6 7L4 9m.5 5A8 8 0 0 0 18 17l2-2',
  arrow: 'M15 5l-7 7 7 7',
  up: 'M12 19V5m0 0-6 6m6-6 6 6',
  down: 'M12 5v14m0 0 6-6m-6 6-6-6',
  play: 'M8 5.5v13l10-6.5z',
  star: 'm12 4 2.4 5 5.6.7-4.1 3.8 1.1 5.5-5-2.7-5 2.7 1.1-5.5L4 9.7 9.6 9z',
  coffee:
    'M5 9h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4V9Zm11 1.5h1.5a2.5 2.5 0 0 1 0 5H16M8 3v2.5M12 3v2.5',
  trash: 'M5 7h14M10 7V4h4v3m-7 0 1 13h8l1-13',
} as const

export type IconName = keyof typeof PATHS

/** An icon beside a text or inside a labelled button; hidden from screen readers. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}
