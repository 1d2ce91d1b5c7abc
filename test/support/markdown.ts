/** What is in the Markdown of the docs: blocks of code, links, and the places that links lead to. */

/** The blocks of one language, in one section or in the whole text. */
export function codeBlocks(markdown: string, language: string, section?: string): readonly string[] {
  const text =
    section === undefined ? markdown : (markdown.split(/^## /m).find((part) => part.startsWith(section)) ?? '')
  const pattern = new RegExp(`^( *)\`\`\`${language}\n(.*?)^ *\`\`\``, 'gms')
  return [...text.matchAll(pattern)].map(([, indent = '', block = '']) => block.replaceAll(`\n${indent}`, '\n'))
}

/** The lines of shell blocks that are commands, without their comments. */
export function commandLines(markdown: string): readonly string[] {
  return codeBlocks(markdown, 'sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/(?:^|\s+)#\s.*$/, '').trim())
    .filter((line) => line !== '')
}

/** What stands between single backticks, in the text. */
export function codeSpans(markdown: string): readonly string[] {
  return [...withoutBlocks(markdown).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)
}

/** Where links of the text lead to: `[text](target)`, outside of code. */
export function linkTargets(markdown: string): readonly string[] {
  return [...withoutCode(markdown).matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = '']) => target)
}

/** The anchors that GitHub gives to the headings. */
export function headingAnchors(markdown: string): readonly string[] {
  const seen = new Map<string, number>()
  const headings = [...withoutBlocks(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)]
  return headings.map(([, heading = '']) => {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = plain.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-')
    const before = seen.get(anchor) ?? 0
    seen.set(anchor, before + 1)
    return before === 0 ? anchor : `${anchor}-${before}`
  })
}

function withoutBlocks(markdown: string): string {
  return markdown.replace(/^ *```.*?^ *```/gms, '')
}

function withoutCode(markdown: string): string {
  return withoutBlocks(markdown).replace(/`[^`\n]*`/g, '')
}
