import type { Machine } from '../connection/machine'
import { useTexts } from '../i18n'
import { changeSettings, useSettings } from '../settings/settings'
import { IconButton } from '../ui/IconButton'
import { Icon } from '../ui/Icon'
import { Link } from '../ui/Link'
import { Logo } from '../ui/Logo'
import { useDark } from '../ui/useDark'
import { ConnectionStatus } from './ConnectionStatus'
import { useRoom } from './RoomContext'

export type Panel = 'stories' | 'share' | 'settings' | 'shortcuts'

interface Props {
  machine: Machine
  storiesOpen: boolean
  onOpen: (panel: Panel) => void
  onRetry: () => void
}

export function Header({ machine, storiesOpen, onOpen, onRetry }: Props) {
  const t = useTexts()
  const { room } = useRoom()
  const dark = useDark(useSettings().theme)
  return (
    <header className="header">
      <Link className="header-logo wide-only" label={t.header.home}>
        <Logo />
      </Link>
      <IconButton
        icon="menu"
        className="narrow-only"
        label={t.header.stories}
        expanded={storiesOpen}
        onClick={() => onOpen('stories')}
      />
      <h1 className="team-name one-line" title={room.name}>
        {room.name}
      </h1>
      <ConnectionStatus machine={machine} onRetry={onRetry} />
      <button type="button" className="button quiet wide-only" onClick={() => onOpen('share')}>
        <Icon name="share" />
        {t.header.share}
      </button>
      <IconButton
        icon="share"
        className="narrow-only"
        label={t.header.share}
        onClick={() => onOpen('share')}
      />
      <IconButton
        icon={dark ? 'sun' : 'moon'}
        className="wide-only"
        label={dark ? t.header.light : t.header.dark}
        onClick={() => changeSettings({ theme: dark ? 'light' : 'dark' })}
      />
      <IconButton
        icon="keyboard"
        className="wide-only"
        label={t.shortcuts.title}
        onClick={() => onOpen('shortcuts')}
      />
      <IconButton icon="settings" label={t.header.settings} onClick={() => onOpen('settings')} />
    </header>
  )
}
