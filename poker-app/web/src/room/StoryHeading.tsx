import type { Ref } from 'react'
import { useTexts } from '../i18n'
import { useRoom } from './RoomContext'
import { currentStory } from './selectors'

export function StoryHeading({ ref }: { ref: Ref<HTMLHeadingElement> }) {
  const t = useTexts()
  const { room } = useRoom()
  const story = currentStory(room)
  const index = room.stories.findIndex(({ id }) => id === story?.id)
  return (
    <div className="story-heading">
      <p className="eyebrow">
        {story
          ? t.round.position(index + 1, room.stories.length)
          : t.round.number(room.round.number)}
      </p>
      <h2 ref={ref} tabIndex={-1} className={story ? '' : 'quiet'} dir="auto" title={story?.title}>
        {story?.title ?? t.round.noStory}
      </h2>
    </div>
  )
}
