/** What `work` resolves with, or undefined when it fails or takes longer; it goes on all the same. */
export function within<T> (work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), milliseconds)
    work.then(resolve, () => resolve(undefined)).finally(() => clearTimeout(timer))
  })
}
