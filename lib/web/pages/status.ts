import { html, type Html } from '../html.ts'
import type { Site } from '../site.ts'
import type { StatusView } from '../status-view.ts'
import { layout } from './layout.ts'
import { table } from './parts.ts'

/** The curves: what each shows, and the figure beside it. */
const CHARTS = [
  { id: 'out', head: 'Sending', unit: 'bytes' },
  { id: 'in', head: 'Receiving', unit: 'bytes' },
  { id: 'operations', head: 'Operations', unit: 'count' },
  { id: 'git', head: 'git processes', unit: 'count' }
]

/** What the server does now. The script keeps it up to date; without, it is what it was when the page was opened. */
export function statusPage (site: Site, user: string | null, view: StatusView): Html {
  const { figures, operations, caches } = view
  return layout(site, user, {
    title: 'Status',
    current: 'status',
    main: html`<div class="head"><h1>Status</h1><p class="live" id="live" hidden><span id="live-text" role="status">Connecting</span></p></div>
<p class="note" id="still">These are the figures of the moment in which this page was opened. Reload it to see newer ones.</p>
<div id="status" data-events="${site.links.events}">
<section aria-labelledby="now"><h2 id="now" class="hidden">Now</h2>
<div class="charts">${CHARTS.map(({ id, head, unit }) => html`<figure>
<figcaption>${head}</figcaption>
<p class="figure" data-figure="${id}">${figures[id]}</p>
<svg data-chart="${id}" data-unit="${unit}" viewBox="0 0 120 40" preserveAspectRatio="none" role="img" aria-label="${head}, the last two minutes" hidden></svg>
<p class="quiet peak" data-peak="${id}" hidden></p>
</figure>
`)}</div></section>
<section aria-labelledby="operations"><h2 id="operations">Operations in flight</h2>
${table('Operations in flight that you may see', [{ head: 'Repository', kind: 'wide' }, { head: 'Service' }, { head: 'User' }, { head: 'Phase' }, { head: 'Cache' }, { head: 'Received', kind: 'number' }, { head: 'Sent', kind: 'number' }, { head: 'Time', kind: 'number' }], operations.map(({ repository, href, cells }) => [html`<a href="${href}"><bdi>${repository}</bdi></a>`, ...cells]), html` id="flight" class="labelled"`)}
<p class="quiet" id="idle"${operations.length > 0 && html` hidden`}>Nothing that you may see is in flight.</p></section>
<section aria-labelledby="totals"><h2 id="totals">Since the start</h2>
<dl class="facts">
<div><dt>Operations</dt><dd data-figure="ended">${figures['ended']}</dd></div>
<div><dt>Failed</dt><dd data-figure="failed">${figures['failed']}</dd></div>
<div><dt>Sent</dt><dd data-figure="sent">${figures['sent']}</dd></div>
<div><dt>Received</dt><dd data-figure="received">${figures['received']}</dd></div>
<div><dt>Waiting for git</dt><dd data-figure="queued">${figures['queued']}</dd></div>
</dl></section>
<section aria-labelledby="caches"><h2 id="caches">Caches</h2>
${caches.length === 0
  ? html`<p class="quiet">Nothing is remembered.</p>`
  : table('Caches', [{ head: 'Cache', kind: 'wide' }, { head: 'Hit rate', kind: 'number' }, { head: 'Hits', kind: 'number' }, { head: 'Misses', kind: 'number' }, { head: 'Kept', kind: 'number' }], caches.map(({ name, cells }, i) => [name, ...cells.map((cell, j) => html`<span data-figure="cache-${i}-${j}">${cell}</span>`)]), html` class="labelled"`)}</section>
</div>`
  })
}
