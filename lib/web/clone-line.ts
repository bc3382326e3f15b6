/**
 * The line that clones a repository, to paste into a shell. `url` is where repositories begin, with a slash at its end;
 * `rootName` is what the folder is called when root itself (the empty name) is the repository.
 */
export function cloneLine (url: string, name: string, rootName: string): string {
  const last = name === '' ? rootName : name.slice(name.lastIndexOf('/') + 1)
  const folder = last.replace(/(?!^)\.git$/, '')
  // git names the new folder after the URL, which names no folder for root itself and is escaped for others.
  const destination = name === '' || encodeSegment(last) !== last ? [quote(/^[-~]/.test(folder) ? `./${folder}` : folder || 'repository')] : []
  return ['git', 'clone', quote(url + encodeName(name)), ...destination].join(' ')
}

/** A repository's name as a part of a URL. */
export function encodeName (name: string): string {
  return name.split('/').map(encodeSegment).join('/')
}

/** A word that a shell reads as it is. */
export function quote (word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`
}

/** encodeURIComponent, and the marks that it leaves and a shell would read. */
function encodeSegment (segment: string): string {
  return encodeURIComponent(segment).replace(/[!'()*~]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}
