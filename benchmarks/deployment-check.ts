import type { Target } from './deployment-measure.ts'

/** Bytes of an answer that are looked at for a reason. */
const LONGEST_REASON = 200

/** Asks once, before anything is measured. @throws Error that says in one line why it cannot be. */
export async function checkTarget (target: Target, withPush: boolean): Promise<void> {
  await check(target, 'git-upload-pack', 'reading')
  if (withPush) await check(target, 'git-receive-pack', 'pushing')
}

async function check ({ url, authorization }: Target, service: string, what: 'reading' | 'pushing'): Promise<void> {
  const headers: Record<string, string> = authorization === null ? {} : { authorization }
  const response = await fetch(`${url}/info/refs?service=${service}`, { headers, signal: AbortSignal.timeout(60_000) }).catch((error: Error & { cause?: NodeJS.ErrnoException }) => {
    throw new Error(`${url} cannot be reached: ${error.cause?.code ?? error.cause?.message ?? error.message}`)
  })
  const { status } = response
  const type = response.headers.get('content-type') ?? 'without a type'
  const text = await response.text()
  const reason = type.startsWith('text/plain') && text.trim() !== '' ? `: ${(text.trim().split('\n')[0] ?? '').slice(0, LONGEST_REASON)}` : ''
  if (response.redirected) throw new Error(`${url} redirects to ${withoutQuery(response.url)}; measure that`)
  if (status === 401 && authorization === null) throw new Error(`${what} needs a name and a password: put them into the URL, as in https://name:password@host/repo.git`)
  if (status === 401) throw new Error('the name or the password is wrong')
  if (status === 403) throw new Error(`${what} is not allowed (403)${reason}${what === 'pushing' ? '; without --push the rest can be measured' : ''}`)
  if (status === 404) throw new Error(`there is no repository at ${url} (404)${reason}`)
  if (status !== 200) throw new Error(`${url} answers with status ${status}${reason}`)
  if (type !== `application/x-${service}-advertisement`) throw new Error(`${url} is no smart HTTP server of git: it answers with ${type}`)
}

function withoutQuery (url: string): string {
  return url.replace(/\/info\/refs\?.*$/, '')
}
