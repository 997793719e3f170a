import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's top folder. */
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

/** What is made, fetched or kept by tools. */
const NOT_SOURCE = new Set(['node_modules', 'dist', '.git', 'coverage', '.cache'])

/** Every file of the repository, as paths from its top with `/`. */
export function repositoryFiles(): readonly string[] {
  const found: string[] = []
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (NOT_SOURCE.has(entry.name)) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile()) found.push(relative(ROOT, path).split(sep).join('/'))
    }
  }
  walk(ROOT)
  return found.sort()
}

/** Text of a file, by its path from the repository's top. */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
