import { cut } from '../format.ts'
import { html, type Content, type Html } from '../html.ts'
import type { Site } from '../site.ts'

export interface Page {
  title: string
  /** Which link of the navigation this is. */
  current?: 'list' | 'status'
  /** Where logging in leads back to: a repository's name. */
  returnTo?: string
  main: Content
}

/** A whole document. */
export function layout (site: Site, user: string | null, { title, current, returnTo = '', main }: Page): Html {
  const { links } = site
  const mark = (name: Page['current']): Html | false => current === name && html` aria-current="page"`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title === site.title ? title : `${cut(title, 200)} · ${site.title}`}</title>
<link rel="icon" href="${links.icon}" type="image/svg+xml">
<link rel="stylesheet" href="${links.stylesheet}">
<script src="${links.script}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="bar">
<a class="brand" href="${links.home}"><img src="${links.icon}" alt="" width="24" height="24">${site.title}</a>
<nav aria-label="Main">
<a href="${links.home}"${mark('list')}>Repositories</a>
${site.status && html`<a href="${links.status}"${mark('status')}>Status</a>`}
${who(site, user, returnTo)}
</nav>
</header>
<main id="main" tabindex="-1">
${main}
</main>
<p class="hidden" role="status" id="said"></p>
</body>
</html>
`
}

function who ({ login, links }: Site, user: string | null, returnTo: string): Html | false {
  if (user !== null) return html`<span class="who"><span class="hidden">Logged in as </span><bdi>${cut(user, 40)}</bdi></span> <a href="${links.logout}">Log out</a>`
  return login && html`<a href="${links.login(returnTo)}">Log in</a>`
}
