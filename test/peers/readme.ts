import assert from 'node:assert/strict'
import { readme } from '../fixtures/readme.ts'

/** The only block of the README's Operations and Production in this language, as it stands there. */
export async function readmeBlock (language: string): Promise<string> {
  const chapters = (await readme()).split(/^## /m).filter((chapter) => /^(?:Operations|Production)\n/.test(chapter))
  const blocks = [...chapters.join('').matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))]
  assert.equal(blocks.length, 1, `blocks of ${language} in the README`)
  return blocks[0]?.[1] as string
}

/** Changes an address, port or path of a configuration for this machine; it must be there. */
export function replaceIn (text: string, changes: Record<string, string>): string {
  for (const [from, to] of Object.entries(changes)) {
    assert.ok(text.includes(from), `'${from}' in ${text}`)
    text = text.replaceAll(from, to)
  }
  return text
}
