import { useTexts } from '../i18n'
import { useSettings } from '../settings/settings'
import { Dialog } from '../ui/Dialog'

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const t = useTexts()
  const { keys } = useSettings()
  const rows = [
    [t.shortcuts.digits, t.shortcuts.digitsDo],
    [t.shortcuts.arrows, t.shortcuts.arrowsDo],
    [t.shortcuts.clear, t.shortcuts.clearDo],
    ['R', t.shortcuts.reveal],
    [t.shortcuts.enter, t.shortcuts.save],
    ['N', t.shortcuts.next],
    ['V', t.shortcuts.again],
    ['?', t.shortcuts.help],
    [t.shortcuts.escape, t.shortcuts.escapeDo],
  ] as const
  return (
    <Dialog title={t.shortcuts.title} onClose={onClose} className="small">
      {!keys && <p className="hint">{t.shortcuts.off}</p>}
      <dl className="shortcuts">
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
