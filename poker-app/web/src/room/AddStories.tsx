import { useState } from 'react'
import { useTexts } from '../i18n'
import { Icon } from '../ui/Icon'
import { STORIES_MAX } from './limits'
import { batches, titles } from './titles'
import { useRoom } from './useRoom'

/**
 * One field for one story or a pasted list; Enter adds, Shift+Enter makes another line.
 * What was refused comes back into the field, and what the room has no place for stays in it.
 */
export function AddStories() {
  const t = useTexts()
  const { room, refusal, send } = useRoom()
  const [text, setText] = useState('')
  const [heard, setHeard] = useState(refusal?.count ?? 0)
  if (refusal && refusal.count !== heard) {
    setHeard(refusal.count)
    const refused = refusal.command?.type === 'add_stories' ? refusal.command.titles : []
    if (refused.length > 0) setText([...refused, ...titles(text)].join('\n'))
  }
  const found = titles(text)
  const free = Math.max(0, STORIES_MAX - room.stories.length)
  const fitting = found.slice(0, free)
  const left = found.length - fitting.length
  function add() {
    if (fitting.length === 0) return
    for (const part of batches(fitting)) send({ type: 'add_stories', titles: part })
    setText(found.slice(free).join('\n'))
  }
  return (
    <form
      className="add-stories"
      onSubmit={(event) => {
        event.preventDefault()
        add()
      }}
    >
      <textarea
        className="field"
        rows={1}
        value={text}
        placeholder={t.stories.add}
        aria-label={t.stories.add}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
          event.preventDefault()
          add()
        }}
      />
      {left > 0 && (
        <p className="hint" role="status">
          {t.stories.full(left)}
        </p>
      )}
      {fitting.length > 0 && (
        <button type="submit" className="button wide">
          <Icon name="plus" />
          {t.stories.addButton(fitting.length)}
        </button>
      )}
    </form>
  )
}
