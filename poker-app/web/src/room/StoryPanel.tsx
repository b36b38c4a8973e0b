import { useEffect, useRef, useState, type DragEvent } from 'react'
import { useTexts } from '../i18n'
import type { Story } from '../protocol/protocol'
import { Icon } from '../ui/Icon'
import { IconButton } from '../ui/IconButton'
import { AddStories } from './AddStories'
import { StoryDialog } from './StoryDialog'
import { useRoom } from './RoomContext'

interface Props {
  /** On narrow screens the panel is a drawer. */
  open: boolean
  onClose: () => void
}

export function StoryPanel({ open, onClose }: Props) {
  const t = useTexts()
  const { room, isFacilitator } = useRoom()
  const panel = useRef<HTMLElement>(null)
  useEffect(() => {
    if (!open) return
    const before = document.activeElement
    panel.current?.focus()
    const escape = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) onClose()
    }
    document.addEventListener('keydown', escape)
    return () => {
      document.removeEventListener('keydown', escape)
      if (before instanceof HTMLElement) before.focus()
    }
    // Moves the focus only when the drawer opens or closes, not when `onClose` changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [open])
  const done = room.stories.filter(({ estimate }) => estimate !== null).length
  return (
    <>
      {open && <div className="backdrop" aria-hidden="true" onClick={onClose} />}
      <aside
        ref={panel}
        className="stories"
        data-open={open || undefined}
        aria-labelledby="stories-title"
        tabIndex={-1}
      >
        <div className="stories-head">
          <h2 id="stories-title">{t.stories.title}</h2>
          <span className="hint">
            {room.stories.length > 0 && t.stories.progress(done, room.stories.length)}
          </span>
          <IconButton icon="close" className="narrow-only" label={t.app.close} onClick={onClose} />
        </div>
        <StoryList onChosen={onClose} />
        {isFacilitator && <AddStories />}
        <a className="button quiet stories-history" href="#history" onClick={onClose}>
          <Icon name="history" />
          {t.stories.history}
        </a>
      </aside>
    </>
  )
}

function StoryList({ onChosen }: { onChosen: () => void }) {
  const t = useTexts()
  const { room, isFacilitator, send, select } = useRoom()
  const [edited, setEdited] = useState<number | null>(null)
  const [dragged, setDragged] = useState<number | null>(null)
  const story = room.stories.find(({ id }) => id === edited)
  if (room.stories.length === 0) {
    return (
      <p className="stories-empty hint">
        {isFacilitator ? t.stories.empty : t.stories.emptyOthers}
      </p>
    )
  }
  const dragging = (id: number, index: number) => ({
    draggable: true,
    onDragStart: () => setDragged(id),
    onDragEnd: () => setDragged(null),
    onDragOver: (event: DragEvent) => event.preventDefault(),
    onDrop: () => {
      if (dragged !== null && dragged !== id) send({ type: 'move_story', story: dragged, index })
    },
  })
  return (
    // Focusable, so that participants without buttons in the rows can scroll it by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="story-scroll" tabIndex={0} role="group" aria-labelledby="stories-title">
      <ol>
        {room.stories.map((one, index) => (
          <li
            key={one.id}
            className="story"
            aria-current={one.id === room.round.story || undefined}
            data-dragged={one.id === dragged || undefined}
            {...(isFacilitator && dragging(one.id, index))}
          >
            {isFacilitator ? (
              <button
                type="button"
                className="story-main"
                onClick={() => {
                  onChosen()
                  select(one.id)
                }}
              >
                <StoryRow story={one} current={one.id === room.round.story} />
              </button>
            ) : (
              <span className="story-main">
                <StoryRow story={one} current={one.id === room.round.story} />
              </span>
            )}
            {isFacilitator && (
              <IconButton
                icon="more"
                label={t.stories.edit(one.title)}
                onClick={() => setEdited(one.id)}
              />
            )}
          </li>
        ))}
      </ol>
      {story && <StoryDialog story={story} onClose={() => setEdited(null)} />}
    </div>
  )
}

function StoryRow({ story, current }: { story: Story; current: boolean }) {
  const t = useTexts()
  const { title, estimate } = story
  const state = current ? t.stories.current : estimate === null ? t.stories.open : ''
  return (
    <>
      <span className="story-mark" aria-hidden="true">
        {current ? <Icon name="play" /> : estimate !== null ? <Icon name="check" /> : null}
      </span>
      <bdi className="story-title" title={title}>
        {title}
      </bdi>
      <span className="visually-hidden">{`, ${state}`}</span>
      <span className="story-estimate">
        {estimate !== null && (
          <>
            <span className="visually-hidden">{t.stories.estimate(estimate)}</span>
            <span aria-hidden="true">{estimate}</span>
          </>
        )}
      </span>
    </>
  )
}
