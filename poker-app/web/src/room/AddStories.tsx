import { useState } from 'react'
import { useTexts } from '../i18n'
import { Icon } from '../ui/Icon'
import { STORIES_MAX } from './limits'
import { batchTitles, parseTitles } from './storyTitles'
import { useRoom } from './RoomContext'

/**
 * One field for one story or a pasted list; Enter adds, Shift+Enter starts a new line.
 * Refused titles return to the field; titles beyond the room's limit stay in it.
 */
export function AddStories() {
  const t = useTexts()
  const { room, refusal, send } = useRoom()
  const [text, setText] = useState('')
  const [refusalsSeen, setRefusalsSeen] = useState(refusal?.count ?? 0)
  if (refusal && refusal.count !== refusalsSeen) {
    setRefusalsSeen(refusal.count)
    const refused = refusal.command?.type === 'add_stories' ? refusal.command.titles : []
    if (refused.length > 0) setText([...refused, ...parseTitles(text)].join('\n'))
  }
  const titles = parseTitles(text)
  const free = Math.max(0, STORIES_MAX - room.stories.length)
  const fitting = titles.slice(0, free)
  const excess = titles.length - fitting.length
  function add() {
    if (fitting.length === 0) return
    for (const batch of batchTitles(fitting)) send({ type: 'add_stories', titles: batch })
    setText(titles.slice(free).join('\n'))
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
      {excess > 0 && (
        <p className="hint" role="status">
          {t.stories.full(excess, STORIES_MAX)}
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
