import type { StopReason } from '../connection/machine'
import { useTexts } from '../i18n'
import { Link } from '../ui/Link'
import { MessagePage } from '../ui/MessagePage'

interface Props {
  reason: Exclude<StopReason, 'left'>
  onRetry?: () => void
}

export function Stopped({ reason, onRetry }: Props) {
  const t = useTexts()
  const { title, text } = t.stopped[reason]
  const reload = reason === 'unsupported_protocol' || reason === 'bad_hello'
  return (
    <MessagePage title={title} text={text}>
      {reload && (
        <button type="button" className="button primary" onClick={() => location.reload()}>
          {t.stopped.reload}
        </button>
      )}
      {(reason === 'removed' || reason === 'too_many') && (
        <button type="button" className="button primary" onClick={onRetry}>
          {t.stopped.again}
        </button>
      )}
      <Link className={reason === 'team_not_found' ? 'button primary' : 'button'}>
        {reason === 'team_not_found' ? t.stopped.home : t.header.home}
      </Link>
    </MessagePage>
  )
}
