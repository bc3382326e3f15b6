import { LinkedList, type Link } from './linked-list.ts'

/** Counts per item, and who has most of all, each in constant time. */
export class Tally<T> {
  readonly #places = new Map<T, { count: number, link: Link<T> }>()
  /** The items by their count. */
  readonly #levels: Array<LinkedList<T>> = []

  /** One of those with the highest count. */
  get top (): T | undefined {
    return this.#levels.at(-1)?.first?.value
  }

  of (item: T | undefined): number {
    return item === undefined ? 0 : this.#places.get(item)?.count ?? 0
  }

  /** `change` is 1 or -1; an item at 0 is forgotten. */
  change (item: T, change: 1 | -1): void {
    const place = this.#places.get(item)
    const count = (place?.count ?? 0) + change
    if (place !== undefined) this.#levels[place.count]?.remove(place.link)
    if (count === 0) {
      this.#places.delete(item)
    } else {
      const level = (this.#levels[count] ??= new LinkedList())
      this.#places.set(item, { count, link: level.push(item) })
    }
    // A count changes by one, so no more than one level gets empty.
    while (this.#levels.length > 0 && (this.#levels.at(-1)?.length ?? 0) === 0) this.#levels.pop()
  }
}
