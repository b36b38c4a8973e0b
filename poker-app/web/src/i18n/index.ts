import { useSettings } from '../settings/settings'
import { catalogues } from './catalogues'
import type { Catalogue } from './en'

/** The texts in the language of the settings. */
export function useTexts(): Catalogue {
  return catalogues[useSettings().language]
}
