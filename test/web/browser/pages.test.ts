import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { shell } from '../../fixtures/command.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { git } from '../../fixtures/git.ts'
import { makeRepository } from '../../fixtures/repository.ts'
import { startPages } from '../pages.ts'
import { openBrowser } from './chromium.ts'

/** Relative luminance of a computed colour (WCAG 2, "relative luminance"). */
function luminance (colour: string): number {
  const [r = 0, g = 0, b = 0] = [...colour.matchAll(/[\d.]+/g)].slice(0, 3).map(([value]) => {
    const c = Number(value) / 255
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** The lowest contrast of text on a page against what is behind it, with where it is. */
async function lowestContrast (page: Page): Promise<{ ratio: number, where: string }> {
  const pairs = await page.evaluate(`[...document.querySelectorAll('body *')].filter((element) => element.checkVisibility() &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '')).map((element) => {
    let behind = element
    while (behind !== null && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement
    return [getComputedStyle(element).color, getComputedStyle(behind ?? document.body).backgroundColor, element.outerHTML.slice(0, 100)]
  })`) as Array<[string, string, string]>
  assert.ok(pairs.length > 4)
  const ratios = pairs.map(([front, back, where]) => {
    const [a, b] = [luminance(front), luminance(back)]
    return { ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), where }
  })
  return ratios.reduce((lowest, one) => one.ratio < lowest.ratio ? one : lowest)
}

test('opened, searched, copied; the copied line clones', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'team/it\'s $HOME.git')
  await writeFile(join(path, 'description'), '<b>bold</b>')
  await makeRepository(root, 'other.git')
  const { url } = await startPages(t, { root }, { listen: true })
  const { page, context, complaints } = await openBrowser(t)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${url}/`)
  assert.equal(await page.title(), 'Repositories · git')
  assert.equal(await page.getByRole('row').count(), 3)
  await page.getByRole('searchbox', { name: 'Search repositories by name' }).fill('HOME')
  await page.getByRole('button', { name: 'Search' }).click()
  await page.waitForURL(/\?q=HOME/)
  assert.equal(await page.getByRole('row').count(), 2)
  assert.equal(await page.locator('.description').textContent(), '<b>bold</b>')
  await page.getByRole('button', { name: /^Copy: clone line/ }).click()
  await page.getByText('Copied to the clipboard').waitFor({ state: 'attached' })
  const line = await page.evaluate('navigator.clipboard.readText()') as string
  const elsewhere = await temporaryFolder(t)
  const { code, stderr } = await shell(line, elsewhere)
  assert.equal(code, 0, `${line}: ${stderr}`)
  assert.equal(await readFile(join(elsewhere, 'it\'s $HOME', 'file-1.txt'), 'utf8'), 'refs/heads/main 1\n')
  await page.getByRole('link', { name: /HOME/ }).click()
  await page.getByRole('heading', { level: 1, name: 'team/it\'s $HOME.git' }).waitFor()
  assert.deepEqual(complaints, [])
})

test('the lines of an empty repository fill it', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'new.git', { commits: 0 })
  const { url } = await startPages(t, { root }, { listen: true, git: { publicWrite: true } })
  const { page, context } = await openBrowser(t)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${url}/new.git/`)
  await page.getByRole('button', { name: 'Copy: lines that push a new project' }).click()
  await page.getByText('Copied to the clipboard').waitFor({ state: 'attached' })
  const project = await temporaryFolder(t)
  await writeFile(join(project, 'readme.txt'), 'hello\n')
  const { code, stderr } = await shell(`set -e\n${await page.evaluate('navigator.clipboard.readText()') as string}`, project)
  assert.equal(code, 0, stderr)
  assert.equal(await git(['show', 'main:readme.txt'], { cwd: path }), 'hello')
  await page.reload()
  await page.getByRole('cell', { name: 'Ann Author' }).waitFor()
})

test('with the keyboard alone: past the navigation, search, a repository; focus is always seen', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { url } = await startPages(t, { root }, { listen: true })
  const { page } = await openBrowser(t)
  await page.goto(`${url}/`)
  const focused = async (): Promise<string> => await page.evaluate('document.activeElement.textContent.trim() || document.activeElement.name') as string
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Skip to content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'q')
  const seen: string[] = []
  for (let i = 0; i < 5; i++) {
    assert.notEqual(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none', await focused())
    seen.push(await focused())
    await page.keyboard.press('Tab')
  }
  assert.deepEqual(seen.slice(0, 5).map((text) => text.replace(/^git clone .*/, 'git clone')), ['q', 'Search', 'app.git', 'git clone', 'Copy'])
  await page.getByRole('link', { name: 'app.git' }).focus()
  await page.keyboard.press('Enter')
  await page.waitForURL(`${url}/app.git/`)
})

test('light and dark, wide and narrow: contrast AA, nothing wider than the screen, tables stay tables', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 3 })
  await makeRepository(root, `a-${'very-'.repeat(30)}long-name.git`)
  await git(['branch', `topic/${'x'.repeat(150)}`, 'main'], { cwd: path })
  const { url } = await startPages(t, { root, user: () => 'ann' }, { listen: true })
  const grounds = new Set<unknown>()
  for (const options of [{}, { dark: true }, { width: 360, height: 740 }, { width: 360, height: 740, dark: true }]) {
    const { page, complaints } = await openBrowser(t, options)
    for (const address of ['/', '/app.git/', '/missing/']) {
      await page.goto(url + address)
      const { ratio, where } = await lowestContrast(page)
      assert.ok(ratio >= 4.5, `${ratio} at ${where}`)
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${address} is wider than ${JSON.stringify(options)}`)
      grounds.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
    }
    await page.goto(`${url}/app.git/`)
    await page.getByRole('table', { name: /^The newest commits/ }).getByRole('rowheader', { name: 'commit 3' }).waitFor()
    assert.deepEqual(complaints.filter((text) => !text.includes('404')), [])
  }
  assert.equal(grounds.size, 2)
})

test('without JavaScript everything but the copy buttons is there', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { url } = await startPages(t, { root }, { listen: true })
  const { page } = await openBrowser(t, { javaScript: false })
  await page.goto(`${url}/?q=app`)
  assert.equal(await page.getByRole('button').count(), 1)
  await page.getByText(`git clone ${url}/app.git`).waitFor()
  await page.getByRole('link', { name: 'app.git' }).click()
  await page.getByText('Recent commits').waitFor()
})

test('logging in lets the browser send the password to every page; logging out makes it forget', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'private.git')
  const user = ({ headers }: { headers: { authorization?: string } }): string | null => headers.authorization === undefined ? null : 'ann'
  const { url } = await startPages(t, { root, user, canRead: (_name, _directory, request) => user(request) !== null }, { listen: true })
  const { context, page } = await openBrowser(t)
  await page.goto(`${url}/`)
  await page.getByText('There is no repository that you can see').waitFor()
  await context.setHTTPCredentials({ username: 'ann', password: 'secret' })
  await page.getByRole('link', { name: 'Log in', exact: true }).first().click()
  await page.getByRole('link', { name: 'private.git' }).click()
  await page.getByText('Recent commits').waitFor()
  await page.getByRole('link', { name: 'Repositories' }).first().click()
  await page.getByRole('link', { name: 'private.git' }).waitFor()
  await context.setHTTPCredentials(null)
  await page.reload()
  await page.getByRole('link', { name: 'private.git' }).waitFor()
  // Asked again and left without an answer; a browser without a window shows an error of its own then, when it likes.
  await page.goto(`${url}/-/logout`).catch(() => {})
  const other = await context.newPage()
  await other.goto(`${url}/`)
  await other.getByText('There is no repository that you can see').waitFor()
})
