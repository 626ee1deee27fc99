/** What can go wrong in storage, in words of its own: each protocol has one table from these to its status codes. */

export type StorageErrorCode =
  /** The last component of the path, or the named stream, does not exist. */
  | 'not-found'
  /** A component before the last does not exist or is no directory. */
  | 'path-not-found'
  | 'exists'
  | 'is-directory'
  | 'not-directory'
  | 'not-empty'
  /** Nothing was made, because the directory has a stored descriptor that was not heeded (OpenRequest.create.heeded). */
  | 'unheeded'
  | 'access-denied'
  /** Not the owner, or a privilege is missing (EPERM). */
  | 'not-permitted'
  | 'read-only'
  | 'name-invalid'
  | 'name-too-long'
  /** The path leads out of the share, through a link or otherwise. */
  | 'outside'
  /** The path ends in, or passes, a symbolic link that is not to be followed. */
  | 'symlink'
  | 'too-many-links'
  | 'cross-device'
  | 'disk-full'
  | 'quota-exceeded'
  | 'file-too-large'
  | 'stream-too-large'
  /** A new end of file past what the stream can ever have. */
  | 'allotment-exceeded'
  /** An extended attribute, or all of a file together. */
  | 'ea-too-large'
  | 'too-many-open-files'
  | 'busy'
  | 'not-supported'
  | 'invalid'
  | 'stale'
  /** The disks do not answer, and nothing was begun. */
  | 'not-ready'
  | 'io'

/** An outcome of storage that ends the request; `message` is for the log, not for the client. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode

  constructor(code: StorageErrorCode, message: string = code) {
    super(message)
    this.code = code
  }
}

/** What is made in a directory inherits from the descriptor stored with that: nothing is made before it is heeded. */
export class UnheededError extends StorageError {
  readonly parentDescriptor: Uint8Array

  constructor(parentDescriptor: Uint8Array) {
    super('unheeded')
    this.parentDescriptor = parentDescriptor
  }
}
