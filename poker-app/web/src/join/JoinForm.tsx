import { useId, useState } from 'react'
import { useTexts } from '../i18n'
import type { Role } from '../protocol/protocol'
import { PARTICIPANT_NAME_CHARS_MAX } from '../room/limits'
import { settings } from '../settings/settings'
import { Link } from '../ui/Link'
import { Logo } from '../ui/Logo'

interface Props {
  title: string
  hint?: string
  onJoin: (name: string, role: Role) => void
}

export function JoinForm({ title, hint, onJoin }: Props) {
  const t = useTexts()
  const id = useId()
  const [name, setName] = useState(() => settings().name)
  const [role, setRole] = useState<Role>('voter')
  const [missing, setMissing] = useState(false)
  return (
    <main className="centred">
      <title>{`${title} – ${t.app.name}`}</title>
      <Link className="home-brand" label={t.header.home}>
        <Logo />
      </Link>
      <form
        className="join"
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          if (name.trim() === '') setMissing(true)
          else onJoin(name.trim(), role)
        }}
      >
        <h1>{title}</h1>
        {hint !== undefined && (
          <p className="hint" role="status">
            {hint}
          </p>
        )}
        <label htmlFor={id}>{t.join.name}</label>
        <input
          id={id}
          className="field large"
          value={name}
          maxLength={PARTICIPANT_NAME_CHARS_MAX}
          autoComplete="nickname"
          aria-invalid={missing}
          aria-describedby={`${id}-problem`}
          // The first question of the page, and the reason to open it.
          // eslint-disable-next-line jsx-a11y/no-autofocus
          autoFocus
          onChange={(event) => {
            setName(event.target.value)
            setMissing(false)
          }}
        />
        <p id={`${id}-problem`} className="problem" role="alert">
          {missing ? t.join.nameMissing : ''}
        </p>
        <RoleChoice role={role} onChange={setRole} />
        <button type="submit" className="button primary large wide">
          {t.join.submit}
        </button>
      </form>
    </main>
  )
}

function RoleChoice({ role, onChange }: { role: Role; onChange: (role: Role) => void }) {
  const t = useTexts()
  const options = [
    { value: 'voter', label: t.join.voter, hint: t.join.voterHint },
    { value: 'observer', label: t.join.observer, hint: t.join.observerHint },
  ] as const
  return (
    <fieldset className="roles">
      <legend>{t.join.role}</legend>
      {options.map(({ value, label, hint }) => (
        <label key={value} className="role">
          <input
            type="radio"
            name="role"
            checked={role === value}
            onChange={() => onChange(value)}
          />
          <span className="role-box">
            {label}
            <span className="hint">{hint}</span>
          </span>
        </label>
      ))}
    </fieldset>
  )
}
