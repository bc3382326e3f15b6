/**
 * The ref prefix of a namespace (gitnamespaces(7)): `a/b` is `refs/namespaces/a/refs/namespaces/b/`, none is ''.
 */
export function namespacePrefix (namespace: string | undefined): string {
  if (namespace === undefined) return ''
  return namespace.split('/').filter((part) => part !== '').map((part) => `refs/namespaces/${part}/`).join('')
}
