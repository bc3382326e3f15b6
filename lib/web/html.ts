/** Markup that is safe to send: made by {@link html} only, which escapes everything else. */
export class Html {
  readonly #markup: string

  /** @internal Use {@link html}. */
  constructor (markup: string) {
    this.#markup = markup
  }

  toString (): string {
    return this.#markup
  }
}

/** What a template takes. `null`, `undefined` and `false` leave nothing behind. */
export type Content = Html | string | number | null | undefined | false | readonly Content[]

/**
 * Builds markup from a template. Every value is escaped, for text and for attributes in double quotes, unless it is
 * markup itself.
 */
export function html (strings: TemplateStringsArray, ...values: Content[]): Html {
  let markup = strings[0] as string
  values.forEach((value, i) => { markup += render(value) + (strings[i + 1] as string) })
  return new Html(markup)
}

function render (value: Content): string {
  if (value === null || value === undefined || value === false) return ''
  if (value instanceof Html) return value.toString()
  if (typeof value === 'object') return value.map(render).join('')
  return escape(String(value))
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;', '`': '&#96;' }

/** What is no character in a document (controls, halves of surrogate pairs) becomes U+FFFD, as it would in a browser. */
function escape (text: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Cs}/gu, '\ufffd')
  return plain.replace(/[&<>"'`]/g, (mark) => ENTITIES[mark] as string)
}
