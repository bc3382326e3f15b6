import { cut, formatBytes, formatDate } from '../format.ts'
import { html, type Content, type Html } from '../html.ts'
import type { Site } from '../site.ts'
import type { Figures } from '../summary.ts'
import { layout } from './layout.ts'
import { copyLine, repositoryName, table } from './parts.ts'

export interface Row {
  name: string
  description: string
  /** undefined: not known in time, or not at all. */
  figures: Figures | undefined
  clone: string
}

export interface ListPage {
  query: string
  rows: Row[]
  /** Which pages there are beside this one. */
  first: boolean
  previous: boolean
  next: boolean
  /** Something to say about what is missing. */
  note: string | null
}

/** The repositories, a page of them. */
export function listPage (site: Site, user: string | null, page: ListPage): Html {
  const { query, rows, note } = page
  const title = query === '' ? 'Repositories' : `${query} · search`
  return layout(site, user, {
    title,
    current: 'list',
    main: html`<div class="head"><h1>Repositories</h1>
<form class="search" role="search" action="${site.links.home}" method="get">
<label class="hidden" for="q">Search repositories by name</label>
<input id="q" name="q" type="search" value="${query}" maxlength="200" placeholder="Search by name" autocomplete="off" autocapitalize="none" spellcheck="false">
<button type="submit">Search</button>
</form></div>
${note !== null && html`<p class="note">${note}</p>`}
${rows.length === 0 ? nothing(site, user, query) : html`<div class="repositories">${listing(site, rows)}</div>`}
${pager(site, page)}`
  })
}

function listing (site: Site, rows: Row[]): Html {
  const columns = [{ head: 'Repository', kind: 'wide' as const }, { head: 'Default branch' }, { head: 'Last update' }, { head: 'Size', kind: 'number' as const }]
  return table('Repositories, each with its default branch, last update and size', columns, rows.map(({ name, description, figures, clone }): Content[] => [
    html`<a class="name" href="${site.links.repository(name)}">${repositoryName(name)}</a>
${description !== '' && html`<p class="description"><bdi>${cut(description, 200)}</bdi></p>`}
${copyLine(clone, `clone line of ${name}`)}`,
    figures === undefined || figures.branch === null ? unknown() : html`<span class="branch"><bdi>${cut(figures.branch, 60)}</bdi></span>`,
    figures === undefined ? unknown() : formatDate(figures.updated) ?? html`<span class="quiet">empty</span>`,
    figures === undefined ? unknown() : formatBytes(figures.size)
  ]))
}

function unknown (): Html {
  return html`<span class="quiet">–</span>`
}

function nothing (site: Site, user: string | null, query: string): Html {
  const login = user === null && site.login && html` <a href="${site.links.login('')}">Log in</a> to see those that are yours.`
  if (query !== '') return html`<p class="empty">No repository that you can see has <q><bdi>${query}</bdi></q> in its name. <a href="${site.links.home}">Show all</a>${login}</p>`
  return html`<p class="empty">There is no repository that you can see.${login} Make one with <code>git init --bare name.git</code> in the folder that is served.</p>`
}

function pager ({ links }: Site, { query: q, rows, first, previous, next }: ListPage): Html | false {
  if (first && !next) return false
  const [top, bottom] = [rows[0]?.name, rows.at(-1)?.name]
  return html`<nav class="pager" aria-label="Pages">
${previous && top !== undefined && html`<a rel="prev" href="${links.list({ q, before: top })}">Previous</a>`}
${!first && html`<a href="${links.list({ q })}">First</a>`}
${next && html`<a rel="next" href="${links.list({ q, after: bottom })}">Next</a>`}
</nav>`
}
