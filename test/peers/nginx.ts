import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './programs.ts'
import type { ProxyProgram } from './proxy.ts'

export async function nginx (): Promise<ProxyProgram> {
  return {
    path: await findProgram('nginx', 'nginx'),
    site: await readFile(join(import.meta.dirname, 'nginx.conf'), 'utf8'),
    main: (folder, _port, asRoot) => `
      ${asRoot ? 'user nobody nogroup;' : ''}
      daemon off;
      worker_processes 1;
      pid ${folder}/nginx.pid;
      events {}
      http {
        access_log off;
        client_body_temp_path ${folder}/temporary/body;
        proxy_temp_path ${folder}/temporary/proxy;
        fastcgi_temp_path ${folder}/temporary/fastcgi;
        uwsgi_temp_path ${folder}/temporary/uwsgi;
        scgi_temp_path ${folder}/temporary/scgi;
        include ${folder}/site.conf;
      }`,
    args: (folder) => ['-p', folder, '-c', `${folder}/main.conf`, '-e', `${folder}/error.log`]
  }
}
