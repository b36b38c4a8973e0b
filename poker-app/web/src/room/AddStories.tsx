import { useState } from 'react'
import { useTexts } from '../i18n'
import { Icon } from '../ui/Icon'
import { titles } from './titles'
import { useRoom } from './useRoom'

/** One field for one story or a pasted list; Enter adds, Shift+Enter makes another line. */
export function AddStories() {
  const t = useTexts()
  const { send } = useRoom()
  const [text, setText] = useState('')
  const found = titles(text)
  function add() {
    if (found.length === 0) return
    send({ type: 'add_stories', titles: found })
    setText('')
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
      {found.length > 0 && (
        <button type="submit" className="button wide">
          <Icon name="plus" />
          {t.stories.addButton(found.length)}
        </button>
      )}
    </form>
  )
}
