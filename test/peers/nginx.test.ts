import { nginx } from './nginx.ts'
import { proxyStories } from './proxy-stories.ts'

proxyStories({
  name: 'nginx',
  open: nginx,
  collecting: (site) => site.replace('proxy_request_buffering off', 'proxy_request_buffering on'),
  toRoot: (site) => site.replace('http://UPSTREAM;', 'http://UPSTREAM/;')
})
