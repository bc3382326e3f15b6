import { html, type Html } from '../html.ts'
import type { Site } from '../site.ts'
import { layout } from './layout.ts'

/** A page that says one thing: an error, or that somebody is logged out. */
export function messagePage (site: Site, user: string | null, title: string, text: string): Html {
  const login = user === null && site.login
  return layout(site, user, {
    title,
    main: html`<div class="message"><h1>${title}</h1>
<p>${text}</p>
<p><a href="${site.links.home}">All repositories</a>${login && html` · <a href="${site.links.login('')}">Log in</a>`}</p></div>`
  })
}
