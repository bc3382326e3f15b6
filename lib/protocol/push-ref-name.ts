/** Control characters, space, DEL, what means something in revisions and refspecs, `..` and `@{`. */
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{/

/** True for exactly the names that `git check-ref-format <name>` accepts (refs.c, check_refname_format without flags). */
export function isRefName (name: string): boolean {
  if (FORBIDDEN.test(name) || name.endsWith('.')) return false
  const components = name.split('/')
  return components.length > 1 && components.every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
}
