import { useId, useState } from 'react'
import { useTexts } from '../i18n'
import type { Command, Story } from '../protocol/protocol'
import { Dialog } from '../ui/Dialog'
import { Icon } from '../ui/Icon'
import { STORY_TITLE_CHARS_MAX } from './limits'
import { useRoom } from './RoomContext'

export function StoryDialog({ story, onClose }: { story: Story; onClose: () => void }) {
  const t = useTexts()
  const id = useId()
  const { room, send, select } = useRoom()
  const [title, setTitle] = useState(story.title)
  const index = room.stories.findIndex((one) => one.id === story.id)
  const act = (command: Command) => () => {
    send(command)
    onClose()
  }
  const move = (to: number) => () => send({ type: 'move_story', story: story.id, index: to })
  return (
    <Dialog title={t.story.dialog} onClose={onClose} className="small">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          const wanted = title.replace(/\s+/g, ' ').trim()
          if (wanted === '') return
          if (wanted !== story.title) send({ type: 'edit_story', story: story.id, title: wanted })
          onClose()
        }}
      >
        <label htmlFor={id}>{t.story.title}</label>
        <textarea
          id={id}
          className="field"
          rows={3}
          value={title}
          maxLength={STORY_TITLE_CHARS_MAX}
          onChange={(event) => setTitle(event.target.value)}
        />
        <button type="submit" className="button primary wide">
          {t.app.save}
        </button>
      </form>
      <div className="row even">
        <button
          type="button"
          className="button"
          aria-disabled={index <= 0}
          onClick={index > 0 ? move(index - 1) : undefined}
        >
          <Icon name="up" />
          {t.story.up}
        </button>
        <button
          type="button"
          className="button"
          aria-disabled={index >= room.stories.length - 1}
          onClick={index < room.stories.length - 1 ? move(index + 1) : undefined}
        >
          <Icon name="down" />
          {t.story.down}
        </button>
      </div>
      <div className="row even">
        <button
          type="button"
          className="button"
          onClick={() => {
            select(story.id)
            onClose()
          }}
        >
          <Icon name="play" />
          {t.story.select}
        </button>
        <button
          type="button"
          className="button danger"
          onClick={act({ type: 'remove_story', story: story.id })}
        >
          <Icon name="trash" />
          {t.story.remove}
        </button>
      </div>
    </Dialog>
  )
}
