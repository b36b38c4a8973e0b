import { useTexts } from '../i18n'
import type { Command, ParticipantView } from '../protocol/protocol'
import { Dialog } from '../ui/Dialog'
import { useRoom } from './RoomContext'

interface Props {
  participant: ParticipantView
  onClose: () => void
}

export function ParticipantDialog({ participant, onClose }: Props) {
  const t = useTexts()
  const { send } = useRoom()
  const act = (command: Command) => () => {
    send(command)
    onClose()
  }
  return (
    <Dialog title={participant.name} onClose={onClose} className="small">
      <div className="choices">
        <button
          type="button"
          className="choice"
          onClick={act({ type: 'make_facilitator', participant: participant.id })}
        >
          {t.participants.makeFacilitator}
          <span className="hint">{t.participants.makeFacilitatorHint}</span>
        </button>
        <button
          type="button"
          className="choice danger"
          onClick={act({ type: 'remove_participant', participant: participant.id })}
        >
          {t.participants.remove}
          <span className="hint">{t.participants.removeHint}</span>
        </button>
      </div>
    </Dialog>
  )
}
