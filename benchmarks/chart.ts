/** Draws results/discovery.svg from results/discovery.json: `npm run bench:charts` */
import { readFileSync, writeFileSync } from 'node:fs'
import { View, parse } from 'vega'
import { drawing, type Result } from './chart-drawing.ts'

/** What each colour of the drawing is on a dark page. The drawing brings its own background, so that both always fit. */
const DARK: Record<string, string> = {
  '#ffffff': '#0d1117',
  '#1f2328': '#e6edf3',
  '#59636e': '#9198a1',
  '#d1d9e0': '#2b323b',
  '#0969da': '#4493f8',
  '#9aa4af': '#6e7681',
  '#e3e8ed': '#262c36',
  '#1a7f37': '#3fb950',
  '#d1242f': '#f85149'
}

const result = JSON.parse(readFileSync(new URL('results/discovery.json', import.meta.url), 'utf8')) as Result
const view = new View(parse(drawing(result)), { renderer: 'none' })
const svg = await view.toSVG()
const rules = Object.entries(DARK).map(([light, dark]) => `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`)
const style = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`
writeFileSync(new URL('results/discovery.svg', import.meta.url), `${svg.replace(/(<svg[^>]*>)/, `$1${style}`)}\n`)
console.log('benchmarks/results/discovery.svg')
