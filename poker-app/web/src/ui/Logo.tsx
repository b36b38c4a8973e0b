export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect
        className="logo-back"
        x="4"
        y="7"
        width="14"
        height="20"
        rx="3"
        transform="rotate(-10 11 17)"
      />
      <rect className="logo-front" x="12" y="5" width="15" height="21" rx="3" />
      <path
        className="logo-mark"
        d="M16.5 12.2h6.2v2h-4v1.9c2.9-.4 4.7.9 4.7 3.1 0 2.4-1.9 3.8-5 3.8-.9 0-1.7-.1-2.4-.3v-2c.7.2 1.5.3 2.2.3 1.8 0 2.8-.6 2.8-1.8 0-1.2-1.1-1.6-2.7-1.4l-1.8.3z"
      />
    </svg>
  )
}
