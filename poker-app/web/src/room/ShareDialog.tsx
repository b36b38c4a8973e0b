import { useRef, useState } from 'react'
import { useTexts } from '../i18n'
import { teamPath } from '../router'
import { Dialog } from '../ui/Dialog'
import { QrCode } from './QrCode'

export function ShareDialog({ team, onClose }: { team: string; onClose: () => void }) {
  const t = useTexts()
  const link = `${location.origin}${teamPath(team)}`
  const field = useRef<HTMLInputElement>(null)
  const [copied, setCopied] = useState<'not_yet' | 'copied' | 'failed'>('not_yet')

  async function copy() {
    field.current?.select()
    try {
      await navigator.clipboard.writeText(link)
      setCopied('copied')
    } catch {
      // Browsers allow the clipboard only over https; the link stays selected for copying by hand.
      setCopied('failed')
    }
  }

  return (
    <Dialog title={t.share.title} onClose={onClose}>
      <p className="hint">{t.share.hint}</p>
      <div className="qr">
        <QrCode text={link} label={t.share.qr(link)} />
      </div>
      <label htmlFor="share-link">{t.share.link}</label>
      <div className="share-row">
        <input
          ref={field}
          id="share-link"
          className="field"
          readOnly
          value={link}
          onFocus={(event) => event.target.select()}
        />
        <button type="button" className="button primary" onClick={() => void copy()}>
          {copied === 'copied' ? t.share.copied : t.share.copy}
        </button>
      </div>
      <p className="hint reserve" role="status">
        {copied === 'failed' ? t.share.failed : ''}
      </p>
    </Dialog>
  )
}
