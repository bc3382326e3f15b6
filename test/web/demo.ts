import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { git } from '../fixtures/git.ts'

const SUBJECTS = [
  'Read the index without a copy', 'Say which ref was refused', 'Keep the order of tags', 'Cut the log after a day', 'Try the mirror first',
  'Drop support for the old layout', 'Measure before and after', 'Fix the build on macOS', 'Explain what a bundle is for', 'Wait for the last writer',
  'Add a test for empty packs', 'Name the limits', 'Open files once', 'Remember the answer until a ref changes', 'Use one clock',
  'Make the window smaller', 'Accept names with spaces', 'Tell a missing branch from a hidden one', 'Close what was opened', 'Start with the newest',
  'Let the reader decide', 'First lines'
]
const AUTHORS = ['Ann Author', 'Björn Ek', 'Chen Li', 'Dora Nowak']

interface Described {
  name: string
  description: string
  branch?: string
  /** Days since the newest commit; none when empty. */
  age?: number
  tags?: string[]
  branches?: string[]
  /** KiB. */
  size?: number
}

export const DEMO: Described[] = [
  { name: 'compiler.git', description: 'From source to machine, one pass', age: 0.02, tags: ['v2.1.0', 'v2.0.0', 'v1.9.4'], branches: ['faster-lexer', 'wip/ssa', 'release/2.x'], size: 8200 },
  { name: 'docs/handbook.git', description: 'How we work', age: 0.3, branch: 'trunk', size: 340 },
  { name: 'docs/recipes.git', description: '', age: 9, size: 64 },
  { name: 'infra/ansible.git', description: 'Machines and what runs on them', age: 1.2, tags: ['2024-05'], size: 790 },
  { name: 'infra/monitoring.git', description: 'Dashboards, alerts, and the scripts behind them', age: 40, size: 2600 },
  { name: 'mobile/app.git', description: 'The app for phones', age: 2.5, branch: 'develop', tags: ['5.3', '5.2'], size: 14200 },
  { name: 'sandbox.git', description: 'Try things here' },
  { name: 'website.git', description: 'What visitors see', age: 75, size: 1100 }
]

/** Repositories that look like those of a small company. */
export async function makeDemo (root: string, repositories: Described[] = DEMO): Promise<void> {
  for (const { name, description, branch = 'main', age, tags = [], branches = [], size = 0 } of repositories) {
    const path = join(root, name)
    await git(['-c', `init.defaultBranch=${branch}`, 'init', '--quiet', '--bare', path])
    await git(['symbolic-ref', 'HEAD', `refs/heads/${branch}`], { cwd: path })
    if (description !== '') await writeFile(join(path, 'description'), `${description}\n`)
    if (age === undefined) continue
    await git(['fast-import', '--quiet'], { cwd: path, input: stream(branch, age, size) })
    for (const [i, other] of branches.entries()) await git(['branch', other, `${branch}~${2 * i + 1}`], { cwd: path })
    for (const [i, tag] of tags.entries()) await git(['tag', tag, `${branch}~${3 * i}`], { cwd: path })
  }
}

function stream (branch: string, age: number, size: number): string {
  const newest = Math.floor(Date.now() / 1000 - age * 86_400)
  return SUBJECTS.toReversed().map((subject, i) => {
    const author = AUTHORS[(i * 7) % 4] as string
    const at = newest - Math.floor((SUBJECTS.length - 1 - i) ** 1.6 * 9_000)
    // What no compression makes smaller; hexadecimal digits lose half.
    const text = randomBytes(Math.ceil(1024 * size / SUBJECTS.length)).toString('hex')
    const identity = `${author} <${author.split(' ')[0]?.toLowerCase()}@example.org> ${at} +0000`
    return `commit refs/heads/${branch}\nauthor ${identity}\ncommitter ${identity}\ndata ${Buffer.byteLength(subject)}\n${subject}\n` +
      `M 100644 inline file-${i}.txt\ndata ${Buffer.byteLength(text)}\n${text}\n`
  }).join('')
}
