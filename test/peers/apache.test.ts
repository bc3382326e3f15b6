import { apache } from './apache.ts'
import { proxyStories } from './proxy-stories.ts'

proxyStories({
  name: 'Apache',
  open: apache,
  collecting: (site) => site.replace('ProxyPreserveHost', 'SetEnv proxy-sendcl 1\nProxyPreserveHost'),
  toRoot: (site) => site.replace('http://UPSTREAM/git/', 'http://UPSTREAM/')
})
