/** Ranges by their start, each subtree knowing its furthest end (a treap): overlaps are found in logarithmic time. */

export interface Interval {
  readonly offset: bigint
  /** Inclusive; one before `offset` when the range is empty. */
  readonly last: bigint
  /** Unique, and in the order of insertion. */
  readonly sequence: number
}

interface TreeNode<T> {
  readonly item: T
  readonly priority: number
  furthest: bigint
  left: TreeNode<T> | undefined
  right: TreeNode<T> | undefined
}

type Tree<T> = TreeNode<T> | undefined

const FIRST_RANDOM = 0x2545f491

export class IntervalTree<T extends Interval> {
  #root: Tree<T>
  #size = 0
  #random = FIRST_RANDOM

  get size(): number {
    return this.#size
  }

  insert(item: T): void {
    const node: TreeNode<T> = {
      item,
      priority: this.#nextPriority(),
      furthest: item.last,
      left: undefined,
      right: undefined,
    }
    this.#root = insertInto(this.#root, node)
    this.#size++
  }

  /** Removes an item that was inserted. */
  remove(item: T): void {
    this.#root = without(this.#root, item)
    this.#size--
  }

  /** Whether any item that overlaps the range is one that `matches`; asked in order, until one does. */
  someOverlap(offset: bigint, last: bigint, matches: (item: T) => boolean): boolean {
    return someIn(this.#root, offset, last, matches)
  }

  /** Xorshift: the tree's shape must not depend on anything but what was done to it. */
  #nextPriority(): number {
    let value = this.#random
    value ^= value << 13
    value ^= value >>> 17
    value ^= value << 5
    this.#random = value
    return value
  }
}

function precedes(one: Interval, other: Interval): boolean {
  return one.offset === other.offset ? one.sequence < other.sequence : one.offset < other.offset
}

function update<T extends Interval>(node: TreeNode<T>): TreeNode<T> {
  let furthest = node.item.last
  if (node.left !== undefined && node.left.furthest > furthest) furthest = node.left.furthest
  if (node.right !== undefined && node.right.furthest > furthest) furthest = node.right.furthest
  node.furthest = furthest
  return node
}

/** Goes down to where the priority belongs and parts what is below. */
function insertInto<T extends Interval>(tree: Tree<T>, node: TreeNode<T>): TreeNode<T> {
  if (tree === undefined) return node
  if (node.priority > tree.priority) {
    const [below, above] = split(tree, node.item)
    node.left = below
    node.right = above
    return update(node)
  }
  if (precedes(node.item, tree.item)) tree.left = insertInto(tree.left, node)
  else tree.right = insertInto(tree.right, node)
  if (node.item.last > tree.furthest) tree.furthest = node.item.last
  return tree
}

/** What precedes an item, and the rest. */
function split<T extends Interval>(node: Tree<T>, item: T): [Tree<T>, Tree<T>] {
  if (node === undefined) return [undefined, undefined]
  if (precedes(node.item, item)) {
    const [below, above] = split(node.right, item)
    node.right = below
    return [update(node), above]
  }
  const [below, above] = split(node.left, item)
  node.left = above
  return [below, update(node)]
}

/** All of `below` precedes all of `above`. */
function merge<T extends Interval>(below: Tree<T>, above: Tree<T>): Tree<T> {
  if (below === undefined) return above
  if (above === undefined) return below
  if (below.priority > above.priority) {
    below.right = merge(below.right, above)
    return update(below)
  }
  above.left = merge(below, above.left)
  return update(above)
}

function without<T extends Interval>(node: Tree<T>, item: T): Tree<T> {
  if (node === undefined) throw new Error('removing an interval that is not in the tree')
  if (node.item === item) return merge(node.left, node.right)
  if (precedes(item, node.item)) node.left = without(node.left, item)
  else node.right = without(node.right, item)
  return update(node)
}

function someIn<T extends Interval>(
  node: Tree<T>,
  offset: bigint,
  last: bigint,
  matches: (item: T) => boolean,
): boolean {
  if (node === undefined || node.furthest < offset) return false
  if (someIn(node.left, offset, last, matches)) return true
  const { item } = node
  if (item.offset > last) return false
  if (item.last >= offset && matches(item)) return true
  return someIn(node.right, offset, last, matches)
}
