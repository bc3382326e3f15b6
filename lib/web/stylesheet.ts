/** The look of every page: the fonts of the system, one accent, light and dark as the system is. Text, because nothing is built for browsers here. */
export const STYLESHEET: string = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ground: #f7f7f5; --ink: #1c2024; --quiet: #5c646d; --line: #e3e4e1; --field: #8a9199;
  --accent: #0f6b63; --accent-ink: #ffffff; --soft: #e6f1ef; --note: #fdf6e3; --note-line: #e4d5a8; --alarm: #b3372b;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Cantarell, "Noto Sans", sans-serif;
  --mono: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #1a1e22; --ground: #131619; --ink: #e7e9ea; --quiet: #a0a8b0; --line: #2b3137; --field: #6f7982;
    --accent: #5cc8ba; --accent-ink: #0d1f1d; --soft: #1b302e; --note: #2b2715; --note-line: #57491d; --alarm: #f08c80;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 var(--sans); font-variant-numeric: tabular-nums; }
[hidden] { display: none !important; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0; }
.skip { position: absolute; left: 1rem; top: -5rem; padding: .5rem 1rem; background: var(--paper); color: var(--accent); border-radius: 0 0 .5rem .5rem; z-index: 1; }
.skip:focus { top: 0; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .25rem; }
main:focus { outline: none; }

.bar { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.5rem; max-width: 68rem; margin: 0 auto; padding: 1rem 1.5rem; }
.brand { display: inline-flex; align-items: center; gap: .6rem; color: inherit; font-weight: 600; text-decoration: none; }
.bar nav { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; margin-left: auto; font-size: .9375rem; }
.bar nav a { color: var(--quiet); text-decoration: none; padding: .25rem 0; border-bottom: 2px solid transparent; }
.bar nav a:hover { color: var(--ink); }
.bar nav a[aria-current] { color: var(--ink); border-color: var(--accent); }
.who { color: var(--ink); font-weight: 500; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }

h1 { margin: 0 0 1.25rem; font-size: 1.75rem; line-height: 1.25; font-weight: 650; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .75rem; font-size: 1.0625rem; line-height: 1.4; font-weight: 600; overflow-wrap: anywhere; }
h3 { margin: 1.25rem 0 .5rem; font-size: .9375rem; font-weight: 500; color: var(--quiet); }
section { margin-top: 2.5rem; }
h2 + h3 { margin-top: 0; }
p { margin: .5rem 0; }
code, pre { font-family: var(--mono); font-size: .875em; }
.quiet, h1 .quiet, time { color: var(--quiet); font-weight: inherit; }
h1 .quiet { font-weight: 400; }
.lead { margin: -.75rem 0 1.25rem; color: var(--quiet); font-size: 1.0625rem; overflow-wrap: anywhere; }
.crumbs { font-size: .9375rem; margin-bottom: .25rem; }
.branch { padding: .1rem .45rem; border-radius: .375rem; background: var(--soft); font: .8125rem/1.4 var(--mono); overflow-wrap: anywhere; }
h2 .branch { font-size: .9375rem; font-weight: 400; }
.badge { margin-left: .25rem; padding: 0 .4rem; border: 1px solid var(--line); border-radius: 1rem; color: var(--quiet); font-size: .75rem; }
.note { padding: .6rem .9rem; border: 1px solid var(--note-line); border-radius: .5rem; background: var(--note); font-size: .9375rem; }
.empty { margin: 2rem 0 0; padding: 2.5rem 1.5rem; border: 1px dashed var(--line); border-radius: .75rem; color: var(--quiet); text-align: center; overflow-wrap: anywhere; }
.message { max-width: 34rem; margin: 10vh auto 0; }

.search { display: flex; flex: 1 1 18rem; gap: .5rem; margin: 0 0 1.25rem auto; max-width: 26rem; }
input, button { font: inherit; color: inherit; }
input { flex: 1; min-width: 0; padding: .5rem .75rem; border: 1px solid var(--field); border-radius: .5rem; background: var(--paper); }
input::placeholder { color: var(--quiet); opacity: 1; }
button { padding: .5rem 1rem; border: 1px solid var(--field); border-radius: .5rem; background: var(--paper); cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
.search button { border-color: var(--accent); background: var(--accent); color: var(--accent-ink); }
.search button:hover { color: var(--accent-ink); filter: brightness(1.08); }

table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; font-size: .9375rem; }
th, td { padding: .55rem 1rem; text-align: left; vertical-align: baseline; font-weight: 400; white-space: nowrap; }
thead th { color: var(--quiet); font-size: .8125rem; font-weight: 500; }
tbody th, tbody td { border-top: 1px solid var(--line); }
.wide { width: 100%; white-space: normal; overflow-wrap: anywhere; }
.number { text-align: right; }
#flight:not(:has(tbody tr)) { display: none; }

.repositories tbody th, .repositories tbody td { padding-top: .9rem; padding-bottom: .9rem; }
.repositories .name { font-size: 1.0625rem; font-weight: 600; text-decoration: none; }
.repositories .name .quiet { font-weight: 400; }
.repositories .name:hover { text-decoration: underline; }
.description { margin: .1rem 0 0; color: var(--quiet); }
.copy { display: flex; align-items: stretch; margin-top: .5rem; max-width: 100%; }
.copy code, .copy pre { flex: 0 1 auto; min-width: 0; margin: 0; overflow-x: auto; white-space: pre; scrollbar-width: thin; }
.copy > code, .copy pre { padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--paper); user-select: all; }
.copy pre code { font-size: 1em; }
.copy button { flex: none; margin-left: .5rem; padding: 0 .75rem; border-color: var(--line); font-size: .8125rem; min-width: 5rem; min-height: 2rem; }
.copy.block { align-items: flex-start; }
.copy.block pre { flex: 1 1 auto; line-height: 1.7; }
.repositories .copy { max-width: 40rem; }
.repositories .copy > code { padding: .2rem .6rem; border: 0; background: var(--ground); color: var(--quiet); line-height: 1.7; }
.repositories .copy button { min-height: 1.9rem; min-width: 4.75rem; }
.pager { display: flex; gap: 1.25rem; justify-content: center; margin-top: 1.5rem; }

.facts { display: flex; flex-wrap: wrap; gap: .75rem 2.5rem; margin: 0; }
.facts dt { color: var(--quiet); font-size: .8125rem; }
.facts dd { margin: .1rem 0 0; }
.facts time { color: inherit; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem; }

.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; }
.head > h1 { flex: 0 1 auto; }
.live { display: inline-flex; align-items: center; gap: .5rem; margin: 0; color: var(--quiet); font-size: .875rem; }
.live::before { content: ""; width: .6rem; height: .6rem; border-radius: 50%; background: var(--field); }
.live[data-state="on"]::before { background: var(--accent); }
.live[data-state="off"]::before { background: var(--alarm); }
#status > section:first-child { margin-top: .5rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: .9rem 1rem; background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; }
figcaption { color: var(--quiet); font-size: .8125rem; }
.figure { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.3; font-weight: 600; letter-spacing: -.01em; }
figure svg { display: block; width: 100%; height: 4rem; border-bottom: 1px solid var(--line); }
.area { fill: var(--soft); }
.line { fill: none; stroke: var(--accent); stroke-width: 1.75; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.peak { margin: .4rem 0 0; font-size: .8125rem; }

@media (max-width: 44rem) {
  .bar, main { padding-left: 1rem; padding-right: 1rem; }
  .bar nav { margin-left: 0; }
  .bar nav:has(.who) { flex-basis: 100%; }
  h1 { font-size: 1.5rem; }
  .search { max-width: none; flex-basis: 100%; }
  table, tbody, tr, th, td { display: block; width: auto; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody th, tbody td { border: 0; padding: 0; white-space: normal; text-align: left; }
  tbody tr { padding: .8rem 1rem; border-top: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: .15rem 1rem; }
  tbody tr:first-child { border-top: 0; }
  tbody th { flex: 1 1 100%; }
  tbody td { font-size: .875rem; color: var(--quiet); }
  tbody td:empty { display: none; }
  .labelled td::before { content: attr(data-head) " "; color: var(--quiet); font-size: .8125rem; }
  .labelled td { color: inherit; }
  .repositories tbody th, .repositories tbody td { padding: 0; }
  .repositories .copy { margin-bottom: .35rem; }
}
@media (prefers-reduced-motion: no-preference) { a, button, .skip { transition: border-color .15s, color .15s, top .15s; } }
@media print { .bar, .search, .pager, .copy button { display: none; } body { background: none; } }
`
