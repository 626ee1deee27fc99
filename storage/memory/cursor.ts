/** MS-FSA 2.1.5.6.3: a directory's entries, page by page. */

import type { DirectoryCursor, DirectoryEntry, Identity, ListRequest } from '../file-system.ts'
import { encodeStream, xattrOfStream } from '../metadata/dos-stream.ts'
import { macMetadataOf } from '../metadata/mac-metadata.ts'
import { compile, isWild } from '../names/expression.ts'
import { toClient } from '../names/sfm.ts'
import { isShortName, shortNameOf } from '../names/short-name.ts'
import { type Entry, type MemoryNode, statOf } from './node.ts'
import { Access, allows, permissionsOf } from './permissions.ts'
import type { Volume } from './volume.ts'

export class MemoryCursor implements DirectoryCursor {
  readonly #volume: Volume
  readonly #node: MemoryNode
  readonly #identity: Identity | undefined
  readonly #hideUnreadable: boolean
  readonly #details: boolean
  readonly #shown: (name: string) => string
  /** '.' and '..', then names as stored. */
  readonly #names: string[]
  #at = 0

  constructor(volume: Volume, node: MemoryNode, identity: Identity | undefined, request: ListRequest) {
    this.#volume = volume
    this.#node = node
    this.#identity = identity
    this.#hideUnreadable = request.hideUnreadable
    this.#details = request.details === true
    this.#shown = request.posixNames === true ? (name) => name : toClient
    const matches = compile(request.pattern)
    const exact = !isWild(request.pattern)
    const wanted = (name: string) => matches(this.#shown(name)) || (exact && matches(shortNameOf(name)))
    const names = node.directory?.entries().map((entry) => entry.name) ?? []
    this.#names = ['.', '..', ...names].filter(wanted)
  }

  async next(count: number): Promise<readonly DirectoryEntry[]> {
    return await this.#volume.run('next', () => {
      const page: DirectoryEntry[] = []
      while (page.length < count && this.#at < this.#names.length) {
        const entry = this.#describe(this.#names[this.#at++] as string)
        if (entry !== undefined) page.push(entry)
      }
      return page
    })
  }

  async close(): Promise<void> {
    this.#at = this.#names.length
  }

  #describe(name: string): DirectoryEntry | undefined {
    const node = this.#nodeOf(name)
    if (node === undefined) return undefined
    if (this.#hideUnreadable && !allows(node, this.#identity, Access.read)) return undefined
    return {
      name: this.#shown(name),
      shortName: isShortName(name) || name === '.' || name === '..' ? '' : shortNameOf(name),
      stat: statOf(node, this.#volume.volumeId),
      ...(node.type === 'symlink' && { linkTarget: node.linkTarget }),
      ...(this.#details && this.#detailsOf(node)),
      ...((this.#hideUnreadable || this.#details) &&
        node.securityDescriptor !== undefined && { securityDescriptor: node.securityDescriptor }),
    }
  }

  #detailsOf(node: MemoryNode): Pick<DirectoryEntry, 'permissions' | 'mac'> {
    const streams = [...node.streams.values()].map(({ name, content }) => ({
      xattr: xattrOfStream(name),
      content,
    }))
    const value = (wanted: string): Buffer | undefined => {
      const stream = streams.find(({ xattr }) => xattr === wanted)
      if (stream === undefined) return undefined
      const data = Buffer.alloc(stream.content.size)
      stream.content.read(data, 0)
      return encodeStream(data)
    }
    const xattrs = streams.map(({ xattr }) => xattr)
    const mac = macMetadataOf(xattrs, { value })
    return { permissions: permissionsOf(node, this.#node, this.#identity), ...(mac !== undefined && { mac }) }
  }

  #nodeOf(name: string): MemoryNode | undefined {
    if (name === '.') return this.#node
    if (name === '..') return this.#node.entry?.parent ?? this.#node
    const entry: Entry | undefined = this.#node.directory?.exact(name)
    return entry?.node
  }
}
