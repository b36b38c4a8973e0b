import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './App'
import { applyToDocument } from './settings/settings'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/pages.css'
import './styles/room.css'
import './styles/stories.css'
import './styles/table.css'
import './styles/cards.css'

applyToDocument()
const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}
