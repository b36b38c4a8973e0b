import type { ReactNode } from 'react'
import { useTexts } from '../i18n'

/** A full page with a message and what to do about it. */
export function MessagePage(props: { title: string; text: string; children: ReactNode }) {
  const t = useTexts()
  return (
    <main className="centred">
      <title>{`${props.title} – ${t.app.name}`}</title>
      <h1>{props.title}</h1>
      <p className="lead">{props.text}</p>
      <div className="row">{props.children}</div>
    </main>
  )
}
