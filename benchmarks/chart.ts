/** Draws the pictures of results/ from the figures beside them: `npm run bench:charts` */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { View, parse } from 'vega'
import { discoveryChart, type DiscoveryResult } from './chart-discovery.ts'
import { drawing, type Chart } from './chart-drawing.ts'
import { packsChart, type PacksResult } from './chart-packs.ts'

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

const rules = Object.entries(DARK).map(([light, dark]) => `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`)
const style = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`

async function draw<T> (name: string, chart: (result: T) => Chart): Promise<void> {
  const source = new URL(`results/${name}.json`, import.meta.url)
  if (!existsSync(source)) return
  const view = new View(parse(drawing(chart(JSON.parse(readFileSync(source, 'utf8')) as T))), { renderer: 'none' })
  const svg = await view.toSVG()
  writeFileSync(new URL(`results/${name}.svg`, import.meta.url), `${svg.replace(/(<svg[^>]*>)/, `$1${style}`)}\n`)
  console.log(`benchmarks/results/${name}.svg`)
}

await draw<DiscoveryResult>('discovery', discoveryChart)
await draw<PacksResult>('packs', packsChart)
