import type { ReactNode } from 'react'
import { navigate } from '../router'

interface Props {
  href?: string
  className?: string
  label?: string
  children: ReactNode
}

/** A link within the page; clicks with a modifier key are left to the browser. */
export function Link({ href = '/', className, label, children }: Props) {
  return (
    <a
      href={href}
      className={className}
      aria-label={label}
      title={label}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
        event.preventDefault()
        navigate(href)
      }}
    >
      {children}
    </a>
  )
}
