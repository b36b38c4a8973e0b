import type { Stop } from '../connection/machine'
import { useTexts } from '../i18n'
import { Link } from '../ui/Link'
import { MessagePage } from '../ui/Message'

interface Props {
  stop: Exclude<Stop, 'left'>
  onRetry?: () => void
}

export function Stopped({ stop, onRetry }: Props) {
  const t = useTexts()
  const { title, text } = t.stopped[stop]
  const reload = stop === 'unsupported_protocol' || stop === 'bad_hello'
  return (
    <MessagePage title={title} text={text}>
      {reload && (
        <button type="button" className="button primary" onClick={() => location.reload()}>
          {t.stopped.reload}
        </button>
      )}
      {(stop === 'removed' || stop === 'too_many') && (
        <button type="button" className="button primary" onClick={onRetry}>
          {t.stopped.again}
        </button>
      )}
      <Link className={stop === 'team_not_found' ? 'button primary' : 'button'}>
        {stop === 'team_not_found' ? t.stopped.home : t.header.home}
      </Link>
    </MessagePage>
  )
}
