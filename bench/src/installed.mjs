// What is installed: versions of packages, and what each brings along.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The manifest of a package as a file would import it. Looked for by hand: many packages do not export their manifest.
 * @param {string} name
 * @param {string} from a file or folder that imports it
 */
export function manifestOf(name, from = fileURLToPath(import.meta.url)) {
  const folders = createRequire(join(from, 'x.js')).resolve.paths(name) ?? []
  const folder = folders.map((each) => join(each, name)).find((each) => existsSync(join(each, 'package.json')))
  if (folder === undefined) throw new Error(`the package ${name} is not installed: run npm install`)
  return { folder, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) }
}

/**
 * Every package that installing some packages brings along, themselves included; peers that must be there count, optional ones do not.
 * @param {readonly string[]} names
 * @param {{ without?: readonly string[] }} options names of packages that are there anyway: the framework, and types
 * @returns {readonly string[]} each as `name@version`
 */
export function packagesOf(names, { without = [] } = {}) {
  const found = new Set()
  const visit = (name, from) => {
    if (without.includes(name)) return
    const { folder, manifest } = manifestOf(name, from)
    const entry = `${name}@${manifest.version}`
    if (found.has(entry)) return
    found.add(entry)
    const peers = Object.keys(manifest.peerDependencies ?? {}).filter((peer) => !manifest.peerDependenciesMeta?.[peer]?.optional)
    for (const inner of [...Object.keys(manifest.dependencies ?? {}), ...peers]) visit(inner, folder)
  }
  for (const name of names) visit(name)
  return [...found].sort()
}
