// Fails if the first visit (index.html and the files it references) exceeds its budget.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const BUDGET_BYTES = 110_000
const dist = new URL('../dist/', import.meta.url).pathname
const html = readFileSync(join(dist, 'index.html'), 'utf8')
const files = ['index.html', ...[...html.matchAll(/(?:src|href)="\/(.+?)"/g)].map((m) => m[1])]

for (const encoding of ['br', 'gz']) {
  const sizes = files.map((file) => {
    const path = join(dist, file)
    return statSync(existsSync(`${path}.${encoding}`) ? `${path}.${encoding}` : path).size
  })
  const total = sizes.reduce((sum, size) => sum + size, 0)
  console.log(
    `first load (${encoding}): ${total} bytes of ${BUDGET_BYTES} in ${files.length} files`,
  )
  if (total > BUDGET_BYTES) process.exitCode = 1
}
