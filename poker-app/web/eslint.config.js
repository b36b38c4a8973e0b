import js from '@eslint/js'
import jsxA11y from 'eslint-plugin-jsx-a11y'
import reactHooks from 'eslint-plugin-react-hooks'
import globals from 'globals'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist', 'src/protocol'] },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [
      tseslint.configs.strictTypeChecked,
      reactHooks.configs.flat['recommended-latest'],
      jsxA11y.flatConfigs.recommended,
    ],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      'max-lines': ['error', 500],
    },
  },
  // The layers of the page: each folder imports only from those below it.
  imports('connection', ['protocol']),
  imports('i18n', ['settings']),
  imports('ui', ['i18n', 'settings', 'router']),
  imports('room', ['connection', 'history', 'i18n', 'protocol', 'router', 'settings', 'ui']),
  { files: ['scripts/**', 'eslint.config.js'], languageOptions: { globals: globals.node } },
  { files: ['src/settings/before-paint.js'], languageOptions: { globals: globals.browser } },
)

function imports(folder, allowed) {
  const message = `${folder} may import only from ${allowed.join(', ')}.`
  const others = `^\\.\\./(?!(${allowed.join('|')})(/|$))`
  return {
    files: [`src/${folder}/**`],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ regex: others, message }] }] },
  }
}
