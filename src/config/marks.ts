/**
 * How a module is known to belong to a config.
 *
 * The config and the local modules it imports carry the number of their load in their URL (`?ollama-config=2`),
 * handed on from importer to import. So the hooks touch nothing else in the process, and a later load
 * reads every file again, although no runtime can drop a module from its cache.
 */

const mark = /[?&]ollama-config=(\d+)/

/** The load a module belongs to; undefined for modules that are not of a config. */
export function loadOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : mark.exec(url)?.[1]
}

export function withLoad(url: string, load: string): string {
  if (mark.test(url)) return url
  const [path = '', hash] = url.split('#')
  return `${path}${path.includes('?') ? '&' : '?'}ollama-config=${load}${hash === undefined ? '' : `#${hash}`}`
}

/** Removes what tsx adds to a URL to tell its scopes apart. */
export function withoutScope(url: string): string {
  return url.replace(/[?&]tsx-namespace=[\w-]+/g, '')
}

/** Removes all marks from a URL, or from text that mentions URLs, such as an error's message or stack. */
export function withoutMarks(text: string): string {
  return text.replace(/[?&](?:ollama-config|tsx-namespace|namespace)=[\w-]+/g, '')
}

// tsx cuts a path at its first "?", although the URL says %3F. Two full-width question marks (U+FF1F) stand in for it.
const standIn = '\uff1f\uff1f'

/** A URL that tsx can work on. */
export function forTsx(url: string): string {
  return url.replaceAll('%3F', encodeURIComponent(standIn))
}

/** Undoes {@link forTsx}, in a URL or in text with paths. */
export function fromTsx(text: string): string {
  return text.replaceAll(encodeURIComponent(standIn), '%3F').replaceAll(standIn, '?')
}

// For an importer in node_modules tsx takes `x.js` by its name. For others it would load an `x.ts` beside it instead.
/** What counts as the importer of a config: no file. */
export const entryImporter: string = new URL('node_modules/entry.mjs', import.meta.url).href
