// The page's linters are installed there; these tests use the same.
import js from '../../poker-app/web/node_modules/@eslint/js/src/index.js'
import globals from '../../poker-app/web/node_modules/globals/index.js'

export default [
  js.configs.recommended,
  // Functions that are given to a page run in the browser.
  { languageOptions: { globals: { ...globals.node, ...globals.browser } } },
]
