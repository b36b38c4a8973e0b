import { useId, useState, type SubmitEvent } from 'react'
import type { RoomClient } from './client'
import { useTexts } from '../i18n'
import { languageNames } from '../i18n/catalogues'
import type { Role } from '../protocol/protocol'
import { changeSettings, LANGUAGES, useSettings, type Theme } from '../settings/settings'
import { Dialog } from '../ui/Dialog'
import { Link } from '../ui/Link'
import { SegmentedControl } from '../ui/SegmentedControl'
import { Switch } from '../ui/Switch'
import { PARTICIPANT_NAME_CHARS_MAX, TEAM_NAME_CHARS_MAX } from './limits'
import { DeckSettings } from './DeckSettings'
import { useRoom } from './RoomContext'

interface Props {
  client: RoomClient
  onClose: () => void
  onShortcuts: () => void
}

export function SettingsDialog({ client, onClose, onShortcuts }: Props) {
  const t = useTexts()
  return (
    <Dialog title={t.settings.title} onClose={onClose}>
      <YouSettings client={client} />
      <PageSettings onShortcuts={onShortcuts} />
      <TeamSettings />
      <Link className="button narrow-only">{t.header.home}</Link>
    </Dialog>
  )
}

function YouSettings({ client }: { client: RoomClient }) {
  const t = useTexts()
  const { you, send } = useRoom()
  const settings = useSettings()
  const role = you?.role ?? settings.role
  const name = you?.name ?? settings.name
  const options = [
    { value: 'voter', label: t.settings.voter },
    { value: 'observer', label: t.settings.observer },
  ] as const
  function become(nextName: string, nextRole: Role) {
    changeSettings({ name: nextName, role: nextRole })
    client.rejoinAs(nextName, nextRole)
    if (nextName !== name) send({ type: 'rename', name: nextName })
    if (nextRole !== role) send({ type: 'set_role', role: nextRole })
  }
  return (
    <section className="settings-part" aria-label={t.settings.you}>
      <h3>{t.settings.you}</h3>
      <TextSetting
        label={t.settings.name}
        value={name}
        max={PARTICIPANT_NAME_CHARS_MAX}
        onSave={(value) => become(value, role)}
      />
      <SegmentedControl
        legend={t.settings.role}
        value={role}
        options={options}
        onChange={(value) => become(name, value)}
      />
    </section>
  )
}

function PageSettings({ onShortcuts }: { onShortcuts: () => void }) {
  const t = useTexts()
  const { theme, language, keys } = useSettings()
  const themes: Theme[] = ['system', 'light', 'dark']
  return (
    <section className="settings-part" aria-label={t.settings.page}>
      <h3>{t.settings.page}</h3>
      <SegmentedControl
        legend={t.settings.theme}
        value={theme}
        options={themes.map((value) => ({ value, label: t.settings.themes[value] }))}
        onChange={(value) => changeSettings({ theme: value })}
      />
      <SegmentedControl
        legend={t.settings.language}
        value={language}
        options={LANGUAGES.map((value) => ({ value, label: languageNames[value] }))}
        onChange={(value) => changeSettings({ language: value })}
      />
      <Switch
        label={t.settings.shortcuts}
        hint={t.settings.shortcutsHint}
        on={keys}
        onChange={(on) => changeSettings({ keys: on })}
      />
      <button type="button" className="button" onClick={onShortcuts}>
        {t.settings.showShortcuts}
      </button>
    </section>
  )
}

function TeamSettings() {
  const t = useTexts()
  const { room, isFacilitator, send } = useRoom()
  if (!isFacilitator) {
    return (
      <section className="settings-part" aria-label={t.settings.team}>
        <h3>{t.settings.team}</h3>
        <p className="hint">{t.settings.facilitatorOnly}</p>
      </section>
    )
  }
  return (
    <section className="settings-part" aria-label={t.settings.team}>
      <h3>{t.settings.team}</h3>
      <TextSetting
        label={t.settings.teamName}
        value={room.name}
        max={TEAM_NAME_CHARS_MAX}
        onSave={(name) => send({ type: 'rename_team', name })}
      />
      <DeckSettings
        key={room.deck.kind}
        deck={room.deck}
        onUse={(deck) => send({ type: 'set_deck', deck })}
      />
      <Switch
        label={t.settings.autoReveal}
        hint={t.settings.autoRevealHint}
        on={room.autoReveal}
        onChange={(on) => send({ type: 'set_auto_reveal', on })}
      />
    </section>
  )
}

interface TextSettingProps {
  label: string
  value: string
  max: number
  onSave: (value: string) => void
}

/** A text that Enter or its button saves; the button is enabled once the text has changed. */
function TextSetting({ label, value, max, onSave }: TextSettingProps) {
  const t = useTexts()
  const id = useId()
  const [draft, setDraft] = useState(value)
  const changed = draft.trim() !== '' && draft.trim() !== value
  function save(event: SubmitEvent) {
    event.preventDefault()
    if (changed) onSave(draft.trim())
  }
  return (
    <form onSubmit={save}>
      <label htmlFor={id}>{label}</label>
      <div className="share-row">
        <input
          id={id}
          className="field"
          value={draft}
          maxLength={max}
          onChange={(event) => setDraft(event.target.value)}
        />
        <button type="submit" className="button" aria-disabled={!changed}>
          {t.app.save}
        </button>
      </div>
    </form>
  )
}
