import type { Language } from '../settings/settings'
import { de } from './de'
import { en, type Catalogue } from './en'

export const catalogues: Record<Language, Catalogue> = { en, de }
export const languageNames: Record<Language, string> = { en: 'English', de: 'Deutsch' }
