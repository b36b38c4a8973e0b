import { useId, useLayoutEffect, useRef, type ReactNode } from 'react'
import { useTexts } from '../i18n'
import { IconButton } from './IconButton'

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
  className?: string
}

/** A modal dialog. The browser's own element keeps the focus inside and restores it on close. */
export function Dialog({ title, onClose, children, className = '' }: Props) {
  const t = useTexts()
  const ref = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  // A layout effect closes the dialog before its element is removed: only then is the focus restored.
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    // A click outside the box hits the dialog element itself; the keyboard equivalent is Escape.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions, jsx-a11y/click-events-have-key-events
    <dialog
      ref={ref}
      className={`dialog ${className}`}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose()
      }}
    >
      <div className="dialog-box">
        <header className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label={t.app.close} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  )
}
