import { findProgram } from './programs.ts'
import type { ProxyProgram } from './proxy.ts'
import { readmeBlock } from './readme.ts'

export async function haproxy (): Promise<ProxyProgram> {
  return {
    path: await findProgram('haproxy', 'haproxy'),
    // It is the whole configuration.
    site: await readmeBlock('haproxy'),
    main: () => '',
    args: (folder) => ['-db', '-f', `${folder}/site.conf`]
  }
}
