import { useTexts } from '../i18n'
import { useSettings } from '../settings/settings'
import { Dialog } from '../ui/Dialog'

export function KeysDialog({ onClose }: { onClose: () => void }) {
  const t = useTexts()
  const { keys } = useSettings()
  const rows = [
    [t.keys.digits, t.keys.digitsDo],
    [t.keys.arrows, t.keys.arrowsDo],
    [t.keys.clear, t.keys.clearDo],
    ['R', t.keys.reveal],
    [t.keys.enter, t.keys.save],
    ['N', t.keys.next],
    ['V', t.keys.again],
    ['?', t.keys.help],
    [t.keys.escape, t.keys.escapeDo],
  ] as const
  return (
    <Dialog title={t.keys.title} onClose={onClose} className="small">
      {!keys && <p className="hint">{t.keys.off}</p>}
      <dl className="keys">
        {rows.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
