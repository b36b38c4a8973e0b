import { useState, type SubmitEvent } from 'react'
import { useTexts } from '../i18n'
import { createTeam } from '../room/createTeam'
import { TEAM_NAME_CHARS_MAX } from '../room/limits'
import { navigate, teamPath } from '../router'
import { forgetTeam, knownTeams } from '../settings/teams'
import { IconButton } from '../ui/IconButton'
import { Link } from '../ui/Link'
import { Logo } from '../ui/Logo'

export function Home() {
  const t = useTexts()
  return (
    <main className="home">
      <title>{t.app.name}</title>
      <p className="home-brand">
        <Logo />
        {t.app.name}
      </p>
      <StartForm />
      <p className="hint">{t.home.promise}</p>
      <RecentTeams />
    </main>
  )
}

type Progress = 'idle' | 'starting' | 'empty' | 'failed'

function StartForm() {
  const t = useTexts()
  const [name, setName] = useState('')
  const [progress, setProgress] = useState<Progress>('idle')

  async function start(event: SubmitEvent) {
    event.preventDefault()
    const wanted = name.trim()
    if (wanted === '') {
      setProgress('empty')
      return
    }
    setProgress('starting')
    try {
      navigate(teamPath(await createTeam(wanted)))
    } catch {
      setProgress('failed')
    }
  }

  const problem =
    progress === 'empty' ? t.home.nameMissing : progress === 'failed' ? t.home.failed : ''
  return (
    <form className="home-form" onSubmit={(event) => void start(event)} noValidate>
      <h1>
        <label htmlFor="team-name">{t.home.question}</label>
      </h1>
      <div className="home-row">
        <input
          id="team-name"
          className="field large"
          value={name}
          maxLength={TEAM_NAME_CHARS_MAX}
          placeholder={t.home.placeholder}
          autoComplete="organization"
          aria-invalid={problem !== ''}
          aria-describedby="team-name-problem"
          // The only field of the page, and the reason to open it.
          // eslint-disable-next-line jsx-a11y/no-autofocus
          autoFocus
          onChange={(event) => {
            setName(event.target.value)
            if (progress !== 'starting') setProgress('idle')
          }}
        />
        <button type="submit" className="button primary large">
          {progress === 'starting' ? t.home.starting : t.home.start}
        </button>
      </div>
      <p id="team-name-problem" className="problem" role="alert">
        {problem}
      </p>
    </form>
  )
}

function RecentTeams() {
  const t = useTexts()
  const [teams, setTeams] = useState(knownTeams)
  if (teams.length === 0) return null
  return (
    <section className="recent" aria-labelledby="recent-title">
      <h2 id="recent-title">{t.home.recent}</h2>
      <ul>
        {teams.map(({ slug, name }) => (
          <li key={slug}>
            <Link href={teamPath(slug)} className="recent-link">
              <span className="one-line">{name}</span>
            </Link>
            <IconButton
              icon="close"
              label={t.home.forget(name)}
              onClick={() => {
                forgetTeam(slug)
                setTeams(knownTeams())
              }}
            />
          </li>
        ))}
      </ul>
    </section>
  )
}
