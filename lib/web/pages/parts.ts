import { html, type Content, type Html } from '../html.ts'

/** A line to paste, with a button that copies it; the button shows itself only where scripts run. */
export function copyLine (line: string, label: string): Html {
  return html`<div class="copy"><code tabindex="0" role="group" aria-label="${label}">${line}</code><button type="button" hidden data-copy="${line}" aria-label="Copy: ${label}">Copy</button></div>`
}

/** Several lines to paste. */
export function copyBlock (lines: string[], label: string): Html {
  const text = lines.join('\n')
  return html`<div class="copy block"><pre tabindex="0" role="group" aria-label="${label}"><code>${text}</code></pre><button type="button" hidden data-copy="${text}" aria-label="Copy: ${label}">Copy</button></div>`
}

/** A repository's name: where it is, what it is called, and a suffix that says little. */
export function repositoryName (name: string): Html {
  const [, folder = '', last = '', suffix = ''] = /^(.*\/)?(.+?)(\.git)?$/s.exec(name) ?? []
  return html`<bdi>${folder !== '' && html`<span class="quiet">${folder}</span>`}${last}${suffix !== '' && html`<span class="quiet">${suffix}</span>`}</bdi>`
}

/** A column: its head, and a class for its cells. */
export interface Column {
  head: string
  /** `number` aligns to the right, `wide` takes what is left. */
  kind?: 'number' | 'wide'
}

/**
 * A table whose first cells name their rows. On a narrow screen the stylesheet makes blocks of rows, and with that browsers
 * forget that it is a table; the roles keep it one.
 */
export function table (caption: string, columns: Column[], rows: Content[][], attributes: Content = null): Html {
  return html`<table role="table"${attributes}>
<caption class="hidden">${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map(({ head, kind }) => html`<th role="columnheader" scope="col"${kind !== undefined && html` class="${kind}"`}>${head}</th>`)}</tr></thead>
<tbody role="rowgroup">
${rows.map((cells) => html`<tr role="row">${cells.map((cell, i) => tableCell(columns[i] as Column, cell, i === 0))}</tr>
`)}</tbody>
</table>`
}

function tableCell ({ head, kind }: Column, content: Content, isHead: boolean): Html {
  const style = kind !== undefined && html` class="${kind}"`
  if (isHead) return html`<th role="rowheader" scope="row"${style}>${content}</th>`
  return html`<td role="cell"${style} data-head="${head}">${content}</td>`
}
