import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { html } from '../../lib/web/html.ts'

/** As a browser reads text and attribute values (HTML Standard, "Tokenization"), for the references that are written here. */
function decode (text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39|#96);/g, (reference) =>
    ({ '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': '\'', '&#96;': '`' })[reference] as string)
}

/** Controls and lone surrogates, which no document may hold. */
// eslint-disable-next-line no-control-regex
const IMPOSSIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Cs}/gu

test('whatever a value holds, it stays text between tags and in attributes', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('<', '>', '"', '\'', '`', '&', '=', '/', '!', '-', 'a', ' ', '\n', '\0', '\ud800', '\u202e', 'é') })
  )
  fc.assert(fc.property(hostile, hostile, (text, attribute) => {
    const page = html`<p title="${attribute}">${text}</p>`.toString()
    const found = /^<p title="([^"<>'`]*)">([^"<>'`]*)<\/p>$/s.exec(page)
    assert.ok(found, page)
    assert.equal(decode(found[1] as string), attribute.replace(IMPOSSIBLE, '\ufffd'))
    assert.equal(decode(found[2] as string), text.replace(IMPOSSIBLE, '\ufffd'))
    for (const [reference] of page.matchAll(/&[^;]*;?/g)) assert.match(reference, /^&(?:amp|lt|gt|quot|#39|#96);$/)
  }))
})

test('markup of templates is not escaped again, and lists are joined', () => {
  assert.equal(String(html`<ul>${['a', '<b>'].map((item) => html`<li>${item}</li>`)}</ul>`), '<ul><li>a</li><li>&lt;b&gt;</li></ul>')
  assert.equal(String(html`${html`<b>${1}</b>`}${null}${undefined}${false}${0}${''}`), '<b>1</b>0')
})

test('an object that claims to be markup is none', () => {
  const claim = { toString: () => '<script>' } as unknown as string
  assert.throws(() => html`${claim}`)
})
