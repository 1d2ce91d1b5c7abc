/** Where a value stands in the config, in the spelling of JavaScript. */
import { quoted } from '../artifact/text.ts'

/** `models[2].name`, with quotes around keys that are no identifiers. */
export function formatPath(keys: readonly unknown[], start = ''): string {
  return keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`
    const text = String(key)
    if (!/^[A-Za-z_$][\w$]*$/.test(text)) return `${path}[${quoted(text)}]`
    return path === '' ? text : `${path}.${text}`
  }, start)
}
