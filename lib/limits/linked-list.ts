/** A place in a {@link LinkedList}. */
export interface Link<T> {
  readonly value: T
  readonly next: Link<T> | null
}

interface OwnLink<T> extends Link<T> {
  next: OwnLink<T> | null
  previous: OwnLink<T> | null
}

/**
 * A queue that is left in the middle at no cost. To find the first of a Set, V8 walks over everything that was deleted in
 * front of it.
 */
export class LinkedList<T> {
  #length = 0
  #first: OwnLink<T> | null = null
  #last: OwnLink<T> | null = null

  get length (): number {
    return this.#length
  }

  get first (): Link<T> | null {
    return this.#first
  }

  get last (): Link<T> | null {
    return this.#last
  }

  push (value: T): Link<T> {
    const link: OwnLink<T> = { value, next: null, previous: this.#last }
    if (this.#last === null) this.#first = link
    else this.#last.next = link
    this.#last = link
    this.#length++
    return link
  }

  /** Only for a link that is in this list. */
  remove (link: Link<T>): void {
    const { next, previous } = link as OwnLink<T>
    if (previous === null) this.#first = next
    else previous.next = next
    if (next === null) this.#last = previous
    else next.previous = previous
    this.#length--
  }
}
