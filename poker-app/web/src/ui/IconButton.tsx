import { Icon, type IconName } from './Icon'

interface Props {
  icon: IconName
  label: string
  onClick: () => void
  className?: string
  expanded?: boolean
}

export function IconButton({ icon, label, onClick, className = '', expanded }: Props) {
  return (
    <button
      type="button"
      className={`icon-button ${className}`}
      aria-label={label}
      title={label}
      aria-expanded={expanded}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  )
}
