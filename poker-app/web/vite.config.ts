import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/**
 * Adds the theme script to the head as a separate classic script: it must run before the first paint,
 * and the content security policy allows no inline script.
 */
function themeBeforePaint(): Plugin {
  const source = readFileSync(new URL('./src/settings/before-paint.js', import.meta.url), 'utf8')
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 8)
  const fileName = `assets/before-paint-${hash}.js`
  return {
    name: 'theme-before-paint',
    apply: 'build',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source })
    },
    transformIndexHtml: () => [
      { tag: 'script', attrs: { src: `/${fileName}` }, injectTo: 'head-prepend' },
    ],
  }
}

const server = process.env.POKER_SERVER ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [react(), themeBeforePaint()],
  build: {
    target: 'es2022',
    // A data: URL would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { '/api': server, '/ws': { target: server, ws: true } },
  },
})
