import { findProgram } from './programs.ts'
import type { ProxyProgram } from './proxy.ts'
import { proxyStories } from './proxy-stories.ts'

async function nginx (): Promise<ProxyProgram> {
  return {
    path: await findProgram('nginx', 'nginx'),
    site: 'nginx.conf',
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

proxyStories({
  name: 'nginx',
  open: nginx,
  collecting: (site) => site.replace('proxy_request_buffering off', 'proxy_request_buffering on'),
  toRoot: (site) => site.replace('http://UPSTREAM;', 'http://UPSTREAM/;')
})
