import { useId } from 'react'

interface Props {
  label: string
  hint: string
  on: boolean
  onChange: (on: boolean) => void
}

export function Switch({ label, hint, on, onChange }: Props) {
  const id = useId()
  return (
    <div className="switch">
      <div>
        <label htmlFor={id}>{label}</label>
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      </div>
      <input
        id={id}
        type="checkbox"
        role="switch"
        checked={on}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onChange(event.target.checked)}
      />
    </div>
  )
}
