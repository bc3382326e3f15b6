import { findProgram } from './programs.ts'
import type { ProxyProgram } from './proxy.ts'
import { proxyStories } from './proxy-stories.ts'

const MODULES = ['mpm_event', 'authz_core', 'env', 'headers', 'proxy', 'proxy_http', 'reqtimeout']

async function apache (): Promise<ProxyProgram> {
  return {
    path: await findProgram('apache2', 'apache2-bin'),
    site: 'apache.conf',
    // The limits outside the site are tight, so that the site has to lift them.
    main: (folder, port, asRoot) => `
      ServerName localhost
      ServerRoot ${folder}
      DefaultRuntimeDir ${folder}
      PidFile ${folder}/apache.pid
      ErrorLog ${folder}/error.log
      Listen 127.0.0.1:${port}
      ${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
      ${asRoot ? 'User nobody\nGroup nogroup' : ''}
      LimitRequestBody 1048576
      RequestReadTimeout body=20,minrate=500
      Include ${folder}/site.conf
    `,
    args: (folder) => ['-DFOREGROUND', '-f', `${folder}/main.conf`]
  }
}

proxyStories({
  name: 'Apache',
  open: apache,
  collecting: (site) => site.replace('LimitRequestBody', 'SetEnv proxy-sendcl 1\nLimitRequestBody'),
  toRoot: (site) => site.replace('http://UPSTREAM/git/', 'http://UPSTREAM/')
})
