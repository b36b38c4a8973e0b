import { useSettings } from '../settings/settings'
import { catalogues } from './catalogues'
import type { Catalogue } from './en'

/** The texts in the language of this browser's user. */
export function useTexts(): Catalogue {
  return catalogues[useSettings().language]
}
