import { linear, RATE, type Chart } from './chart-drawing.ts'
import type { Measured } from './deployment-measure.ts'

export interface DeploymentResult {
  url: string
  /** Of the machine that asked. */
  machine: Record<string, string | number>
  measured: Measured[]
}

/** As a table in Markdown. */
export function deploymentTable ({ url, machine, measured }: DeploymentResult): string {
  const rows = measured.map(({ title, count, atOnce, failed, elapsed, perSecond, median, p99, slowest }) =>
    `| ${count} ${title} | ${atOnce} | ${seconds(elapsed)} | ${RATE.format(perSecond)} | ${seconds(median)} | ${seconds(p99)} | ${seconds(slowest)} | ${failed} |\n`)
  const errors = measured.flatMap(({ title, error }) => error === null ? [] : [`\nThe first of the ${title} that failed: \`${error.replaceAll('`', '\'')}\`\n`])
  return `# ${url}\n\n${machine['date']}, asked from ${machine['cores']} cores of ${machine['cpu']}, ${machine['git']}.\n\n` +
    '| | at once | all | per second | median | 99 % within | slowest | failed |\n|---|--:|--:|--:|--:|--:|--:|--:|\n' +
    `${rows.join('')}${errors.join('')}`
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
    title: url,
    note: `asked from ${machine['cores']} cores of ${machine['cpu']}, ${machine['git']}, ${machine['date']}`,
    panels: [
      {
        ...RATE,
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

function seconds (milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toPrecision(3)} ms` : `${(milliseconds / 1000).toPrecision(3)} s`
}
