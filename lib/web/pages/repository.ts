import { encodeName, quote } from '../clone-line.ts'
import type { Contents } from '../contents.ts'
import { cut, formatBytes, formatDate } from '../format.ts'
import { html, type Content, type Html } from '../html.ts'
import type { Ref } from '../refs.ts'
import type { Site } from '../site.ts'
import type { Figures } from '../summary.ts'
import { layout } from './layout.ts'
import { copyBlock, copyLine, repositoryName, table } from './parts.ts'

export interface RepositoryPage {
  name: string
  description: string
  /** undefined: git could not tell in time. */
  figures: Figures | undefined
  contents: Contents | undefined
  clone: string
  /** Where repositories begin, with a slash at its end. */
  base: string
  canPush: boolean
  /** A working copy is behind it: git refuses pushes to the branch that is checked out. */
  isWorkingCopy: boolean
}

/** One repository: how to get it, what is in it, how to push. */
export function repositoryPage (site: Site, user: string | null, page: RepositoryPage): Html {
  const { name, description, contents, figures, clone } = page
  const title = name === '' ? site.title : name
  return layout(site, user, {
    title,
    returnTo: name,
    main: html`${name !== '' && html`<nav class="crumbs" aria-label="Breadcrumb"><a href="${site.links.home}">Repositories</a></nav>`}
<h1 class="name">${name === '' ? site.title : repositoryName(name)}</h1>
${description !== '' && html`<p class="lead"><bdi>${cut(description, 500)}</bdi></p>`}
${facts(page)}
<section aria-labelledby="clone"><h2 id="clone">Clone</h2>${copyLine(clone, 'clone line')}</section>
${contents === undefined ? html`<p class="note">git could not tell in time what is in this repository. <a href="${site.links.repository(name)}">Try again</a></p>` : inside(page, contents)}
${push(site, user, page, contents !== undefined && isEmpty(contents) && figures !== undefined)}`
  })
}

function facts ({ figures }: RepositoryPage): Html {
  const branch = figures?.branch ?? null
  const updated = figures === undefined ? null : formatDate(figures.updated)
  return html`<dl class="facts">
${branch !== null && html`<div><dt>Default branch</dt><dd><span class="branch"><bdi>${cut(branch, 100)}</bdi></span></dd></div>`}
${updated !== null && html`<div><dt>Last update</dt><dd>${updated}</dd></div>`}
${figures !== undefined && html`<div><dt>Size</dt><dd>${formatBytes(figures.size)}</dd></div>`}
</dl>`
}

function isEmpty ({ branches, tags, commits }: Contents): boolean {
  return branches?.length === 0 && tags?.length === 0 && commits?.length === 0
}

function inside (page: RepositoryPage, contents: Contents): Content {
  if (isEmpty(contents)) return html`<p class="empty">This repository is empty.</p>`
  const { branches, tags, commits, branch, more } = contents
  const history = branch === null ? 'Recent commits' : html`Recent commits on <span class="branch"><bdi>${cut(branch, 100)}</bdi></span>`
  return html`<section aria-labelledby="commits"><h2 id="commits">${history}</h2>
${commits === null
  ? unreadable()
  : table('The newest commits: subject, author, date', [{ head: 'Subject', kind: 'wide' }, { head: 'Author' }, { head: 'Date' }, { head: 'Commit', kind: 'number' }], commits.map(({ id, author, date, subject }) => [
    subject === '' ? html`<span class="quiet">(no subject)</span>` : html`<bdi>${cut(subject, 200)}</bdi>`,
    html`<bdi>${cut(author, 60)}</bdi>`,
    formatDate(date),
    objectId(id)
  ]))}</section>
<div class="pair">
<section aria-labelledby="branches"><h2 id="branches">Branches</h2>${refs('Branch', branches, more.branches, page.figures?.branch ?? null)}</section>
<section aria-labelledby="tags"><h2 id="tags">Tags</h2>${refs('Tag', tags, more.tags, null)}</section>
</div>`
}

function refs (kind: 'Branch' | 'Tag', found: Ref[] | null, more: boolean, standard: string | null): Content {
  if (found === null) return unreadable()
  if (found.length === 0) return html`<p class="quiet">None</p>`
  const list = table(`${kind === 'Tag' ? 'Tags' : 'Branches'}, newest first`, [{ head: kind, kind: 'wide' }, { head: 'Date' }, { head: 'Object', kind: 'number' }], found.map(({ name, id, date }) => {
    const short = name.replace(/^refs\/(?:heads|tags)\//, '')
    return [html`<bdi>${cut(short, 100)}</bdi>${short === standard && html` <span class="badge">default</span>`}`, formatDate(date), objectId(id)]
  }))
  return html`${list}${more && html`<p class="quiet">The newest ${found.length} are shown. All: <code>git ls-remote</code></p>`}`
}

function objectId (id: string): Html {
  return html`<code title="${id}">${id.slice(0, 8)}</code>`
}

function unreadable (): Html {
  return html`<p class="note">git could not read this.</p>`
}

function push (site: Site, user: string | null, { name, base, figures, canPush, isWorkingCopy }: RepositoryPage, empty: boolean): Html {
  const url = quote(base + encodeName(name))
  const main = quote(figures?.branch ?? 'main')
  const lines = html`${empty && html`<h3>A new project</h3>
${copyBlock([`git init -b ${main}`, 'git add .', 'git commit -m "first commit"', `git remote add origin ${url}`, `git push -u origin ${main}`], 'lines that push a new project')}`}
<h3>${empty ? 'An existing project' : 'From a project that you have'}</h3>
${copyBlock([`git remote add origin ${url}`, isWorkingCopy ? 'git push -u origin HEAD:refs/heads/topic' : empty ? 'git push -u origin --all' : 'git push -u origin HEAD'], 'lines that push an existing project')}
${isWorkingCopy && html`<p class="quiet">A working copy is behind this repository: git takes pushes to branches that are not checked out there.</p>`}`
  const login = user === null && site.login && html` <a href="${site.links.login(name)}">Log in</a> if you have an account.`
  return html`<section aria-labelledby="push"><h2 id="push">Push</h2>${canPush ? lines : html`<p class="quiet">You may read this repository and not push to it.${login}</p>`}</section>`
}
