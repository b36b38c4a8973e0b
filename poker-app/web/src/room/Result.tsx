import type { CSSProperties } from 'react'
import { useTexts } from '../i18n'
import { Icon } from '../ui/Icon'
import { useSettings } from '../settings/settings'
import type { Stats } from '../protocol/protocol'
import { cardName } from './CardFace'
import { discussion, discussionText } from './discussion'
import { useRoom } from './RoomContext'

const NAMES_SHOWN = 3

/** The middle of the page: the progress of the vote, and after the reveal its result. */
export function Result({ onInvite }: { onInvite: () => void }) {
  const { room } = useRoom()
  const { stats } = room.round
  return (
    <div className="result">
      {stats ? <Revealed stats={stats} /> : <Progress onInvite={onInvite} />}
    </div>
  )
}

function Progress({ onInvite }: { onInvite: () => void }) {
  const t = useTexts()
  const { room, you, table } = useRoom()
  const { votedCount, voterCount, missing } = table
  return (
    <div className="progress">
      <p className="progress-count" data-testid="progress">
        {voterCount === 0 ? t.round.noVoters : t.round.voted(votedCount, voterCount)}
      </p>
      <div className="progress-line" aria-hidden="true">
        {Array.from({ length: voterCount }, (_, index) => (
          <span key={index} data-done={index < votedCount || undefined} />
        ))}
      </div>
      {room.participants.length === 1 ? (
        <button type="button" className="button" onClick={onInvite}>
          <Icon name="share" />
          {t.share.title}
        </button>
      ) : (
        <p className="hint reserve" dir="auto">
          {waiting()}
        </p>
      )}
    </div>
  )

  function waiting(): string {
    if (voterCount === 0) return ''
    const names = missing.map(({ id, name }) => (id === you?.id ? t.participants.you : name))
    if (names.length === 0) return t.round.everyone
    const more = names.length - NAMES_SHOWN
    return more > 1
      ? t.round.waitingForMany(names.slice(0, NAMES_SHOWN), more)
      : t.round.waitingFor(names)
  }
}

function Revealed({ stats }: { stats: Stats }) {
  const t = useTexts()
  const { language } = useSettings()
  const { room } = useRoom()
  const result = discussion(room)
  const mean = stats.mean?.toLocaleString(language, { maximumFractionDigits: 1 })
  return (
    <section className="revealed" aria-labelledby="result-title" data-testid="result">
      <h3 id="result-title" className="visually-hidden">
        {t.result.title}
      </h3>
      <p className="discussion" dir="auto" data-testid="summary">
        {result && discussionText(t, result)}
      </p>
      <div className="numbers">
        <Histogram stats={stats} />
        <dl className="figures">
          <Figure name={t.result.median} value={stats.median ?? t.result.none} />
          <Figure name={t.result.mean} value={mean ?? t.result.none} />
          <Figure name={t.result.agreement} value={t.result.percent(stats.agreement)} />
        </dl>
      </div>
    </section>
  )
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

function Histogram({ stats }: { stats: Stats }) {
  const t = useTexts()
  const most = Math.max(1, ...stats.histogram.map(({ count }) => count))
  return (
    <ul className="histogram" aria-label={t.result.histogram}>
      {stats.histogram.map(({ card, count }) => (
        <li key={card} data-most={count === most || undefined}>
          <span className="visually-hidden">
            {`${cardName(t, card)}: ${t.result.votes(count)}`}
          </span>
          <span className="histogram-count" aria-hidden="true">
            {count}
          </span>
          <span
            className="histogram-bar"
            style={{ '--share': count / most } as CSSProperties}
            aria-hidden="true"
          />
          <span className="histogram-card" aria-hidden="true">
            {card}
          </span>
        </li>
      ))}
    </ul>
  )
}
