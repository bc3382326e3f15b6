import { findProgram } from './programs.ts'
import type { ProxyProgram } from './proxy.ts'
import { proxyStories } from './proxy-stories.ts'

const MODULES = ['mpm_event', 'authz_core', 'env', 'headers', 'proxy', 'proxy_http', 'reqtimeout']

async function apache (): Promise<ProxyProgram> {
  return {
    path: await findProgram('apache2', 'apache2-bin'),
    site: 'apache.conf',
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

proxyStories({
  name: 'Apache',
  open: apache,
  collecting: (site) => site.replace('ProxyPreserveHost', 'SetEnv proxy-sendcl 1\nProxyPreserveHost'),
  toRoot: (site) => site.replace('http://UPSTREAM/git/', 'http://UPSTREAM/')
})
