import { useEffect, useRef, useState } from 'react'
import { useTexts } from '../i18n'
import type { TeamHistory } from '../protocol/protocol'
import { useSettings } from '../settings/settings'
import { teamPath } from '../router'
import { Icon } from '../ui/Icon'
import { Link } from '../ui/Link'
import { historyPath, fetchHistory } from './fetchHistory'

type Progress = { kind: 'loading' } | { kind: 'failed' } | { kind: 'read'; history: TeamHistory }

export function HistoryPage({ team }: { team: string }) {
  const t = useTexts()
  const [progress, setProgress] = useState<Progress>({ kind: 'loading' })
  const [attempt, setAttempt] = useState(0)
  const heading = useRef<HTMLHeadingElement>(null)
  // Moves the focus after a click on the link to this page, but not when the page has just been opened.
  useEffect(() => {
    if (document.activeElement !== document.body) heading.current?.focus()
  }, [])
  useEffect(() => {
    const abort = new AbortController()
    fetchHistory(team, abort.signal).then(
      (history) => setProgress({ kind: 'read', history }),
      () => {
        if (!abort.signal.aborted) setProgress({ kind: 'failed' })
      },
    )
    return () => abort.abort()
  }, [team, attempt])
  return (
    <main className="history">
      <Link className="button quiet" href={teamPath(team)}>
        <Icon name="arrow" />
        {t.history.back}
      </Link>
      <div className="history-head">
        <h2 ref={heading} tabIndex={-1}>
          {t.history.title}
        </h2>
        <a className="button" href={historyPath(team, 'csv')} download>
          {t.history.csv}
        </a>
        <a className="button" href={historyPath(team, 'json')} target="_blank" rel="noreferrer">
          {t.history.json}
        </a>
      </div>
      {progress.kind === 'loading' && <p className="hint">{t.history.loading}</p>}
      {progress.kind === 'failed' && (
        <>
          <p role="alert">{t.history.failed}</p>
          <button
            type="button"
            className="button"
            onClick={() => {
              setProgress({ kind: 'loading' })
              setAttempt(attempt + 1)
            }}
          >
            {t.history.retry}
          </button>
        </>
      )}
      {progress.kind === 'read' && <Rounds history={progress.history} />}
    </main>
  )
}

function Rounds({ history: { rounds, olderLeftOut } }: { history: TeamHistory }) {
  const t = useTexts()
  const { language } = useSettings()
  if (rounds.length === 0) return <p className="hint">{t.history.empty}</p>
  const date = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' })
  return (
    <>
      <ol>
        {rounds.map((round) => (
          <li key={`${round.round}-${round.revealedAt}`} className="history-round">
            <div>
              <h3 dir="auto" className={round.story ? '' : 'quiet'}>
                {round.story?.title ?? t.history.noStory}
              </h3>
              <p className="hint">
                {`${t.history.round} ${round.round} · `}
                <time dateTime={round.revealedAt}>{date.format(new Date(round.revealedAt))}</time>
              </p>
              <ul className="history-votes" aria-label={t.history.votes}>
                {round.votes.map(({ participant, name, card }) => (
                  <li key={participant}>
                    <bdi>{name}</bdi> <b>{card}</b>
                  </li>
                ))}
              </ul>
            </div>
            <dl className="history-figures">
              <Figure name={t.history.median} value={round.stats.median} />
              <Figure
                name={t.history.mean}
                value={
                  round.stats.mean?.toLocaleString(language, { maximumFractionDigits: 1 }) ?? null
                }
              />
              <Figure name={t.history.agreement} value={t.result.percent(round.stats.agreement)} />
              <Figure name={t.history.estimate} value={round.estimate} strong />
            </dl>
          </li>
        ))}
      </ol>
      {olderLeftOut && <p className="hint">{t.history.olderLeftOut(rounds.length)}</p>}
    </>
  )
}

function Figure(props: { name: string; value: string | null; strong?: boolean }) {
  const t = useTexts()
  return (
    <div data-strong={props.strong}>
      <dt>{props.name}</dt>
      <dd>{props.value ?? t.history.none}</dd>
    </div>
  )
}
