import { linear, RATE, type Chart } from './chart-drawing.ts'
import type { Measured } from './deployment-measure.ts'

/** Characters. */
const LONGEST_TITLE = 70
const HEAD = ['', 'at once', 'all', 'per second', 'median', '99 % within', 'slowest', 'failed']

export interface DeploymentResult {
  url: string
  /** Of the machine that asked. */
  machine: Record<string, string | number>
  measured: Measured[]
}

/** As a table in Markdown, in columns for those who read it as it is. */
export function deploymentTable ({ url, machine, measured }: DeploymentResult): string {
  const rows = measured.map(({ title, count, atOnce, failed, elapsed, perSecond, median, p99, slowest }) =>
    [`${count} ${title}`, String(atOnce), seconds(elapsed), ...failed === count ? ['–', '–', '–', '–'] : [RATE.format(perSecond), seconds(median), seconds(p99), seconds(slowest)], String(failed)])
  const errors = measured.flatMap(({ title, error }) => error === null ? [] : [`\nThe first of the ${title} that failed: \`${error.replaceAll('`', '\'')}\`\n`])
  return `# ${url}\n\n${machine['date']}, asked from ${machine['cores']} cores of ${machine['cpu']}, ${machine['git']}.\n\n` +
    `${columns(HEAD, rows)}${errors.join('')}`
}

/** The first column to the left, the others to the right. */
function columns (head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: string[]): string => `| ${cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)).join(' | ')} |\n`
  return [line(head), line(widths.map((width, i) => i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)), ...rows.map(line)].join('')
}

export function deploymentChart ({ url, machine, measured }: DeploymentResult): Chart {
  const row = (title: string, values: Array<[string, number]>, ratio: string): Chart['panels'][number]['rows'][number] => ({
    title,
    bars: values.map(([label, value], i) => ({ label, role: i === 0 ? 'ours' : 'cgi', value })),
    ratios: [{ text: ratio, target: null, failed: false }]
  })
  const timed = measured.filter(({ count, failed }) => failed < count)
  const slow = timed.filter(({ name }) => name !== 'discovery')
  return {
    // As much as is wide enough.
    title: url.length > LONGEST_TITLE ? `…${url.slice(-LONGEST_TITLE)}` : url,
    note: `asked from ${machine['cores']} cores of ${machine['cpu']}, ${machine['git']}, ${machine['date']}`,
    panels: [
      {
        ...RATE,
        ...powers(timed.map(({ perSecond }) => perSecond)),
        title: 'Per second',
        note: 'more is better; logarithmic',
        ratioNote: 'failed',
        rows: timed.map(({ title, atOnce, perSecond, failed }) => row(`${title}, ${atOnce} at once`, [['', perSecond]], String(failed)))
      },
      {
        ...linear(slow.flatMap(({ median, slowest }) => [median / 1000, slowest / 1000])),
        title: 'Seconds for one',
        note: 'less is better',
        ratioNote: 'seconds for all',
        format: (value: number) => value.toPrecision(2),
        rows: slow.map(({ title, median, slowest, elapsed }) => row(title, [['median', median / 1000], ['slowest', slowest / 1000]], (elapsed / 1000).toPrecision(2)))
      }
    ].filter(({ rows }) => rows.length > 0)
  }
}

/** From the power of ten below the least to the one above the most. */
function powers (values: number[]): Pick<Chart['panels'][number], 'domain' | 'ticks'> {
  const from = Math.min(0, Math.floor(Math.log10(Math.min(...values) * 0.99)))
  const to = Math.max(from + 2, Math.ceil(Math.log10(Math.max(...values))))
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => Number(`1e${from + i}`))
  return { domain: [ticks[0] as number, ticks.at(-1) as number], ticks }
}

function seconds (milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toPrecision(3)} ms` : `${(milliseconds / 1000).toPrecision(3)} s`
}
