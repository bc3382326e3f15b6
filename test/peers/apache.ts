import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './programs.ts'
import type { ProxyProgram } from './proxy.ts'

const MODULES = ['mpm_event', 'authz_core', 'env', 'headers', 'proxy', 'proxy_http', 'reqtimeout']

export async function apache (): Promise<ProxyProgram> {
  return {
    path: await findProgram('apache2', 'apache2-bin'),
    site: await readFile(join(import.meta.dirname, 'apache.conf'), 'utf8'),
    // RequestReadTimeout is Debian's, which the site has to lift.
    main: (folder, port, asRoot) => `
      ServerName localhost
      ServerRoot ${folder}
      DefaultRuntimeDir ${folder}
      PidFile ${folder}/apache.pid
      ErrorLog ${folder}/error.log
      Listen 127.0.0.1:${port}
      ${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
      ${asRoot ? 'User nobody\nGroup nogroup' : ''}
      RequestReadTimeout body=20,minrate=500
      Include ${folder}/site.conf
    `,
    args: (folder) => ['-DFOREGROUND', '-f', `${folder}/main.conf`]
  }
}
