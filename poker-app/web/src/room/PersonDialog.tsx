import { useTexts } from '../i18n'
import type { Command, ParticipantView } from '../protocol/protocol'
import { Dialog } from '../ui/Dialog'
import { useRoom } from './useRoom'

interface Props {
  person: ParticipantView
  onClose: () => void
}

export function PersonDialog({ person, onClose }: Props) {
  const t = useTexts()
  const { send } = useRoom()
  const act = (command: Command) => () => {
    send(command)
    onClose()
  }
  return (
    <Dialog title={person.name} onClose={onClose} className="small">
      <div className="choices">
        <button
          type="button"
          className="choice"
          onClick={act({ type: 'make_facilitator', participant: person.id })}
        >
          {t.people.makeFacilitator}
          <span className="hint">{t.people.makeFacilitatorHint}</span>
        </button>
        <button
          type="button"
          className="choice danger"
          onClick={act({ type: 'remove_participant', participant: person.id })}
        >
          {t.people.remove}
          <span className="hint">{t.people.removeHint}</span>
        </button>
      </div>
    </Dialog>
  )
}
