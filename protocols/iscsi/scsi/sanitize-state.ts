/** SBC-3 4.11: a sanitize operation that runs, or that has failed. */

export interface SanitizeState {
  /** 0 to 65535 of 65536. */
  progress: number
  /** It ended with an error: nothing but another one, or EXIT FAILURE MODE, helps. */
  hasFailed: boolean
  /** AUSE: EXIT FAILURE MODE may be used. */
  readonly allowsExit: boolean
  /** The server ends: no more is written. */
  isStopped: boolean
  /** Settles when nothing of it is under way. */
  settled: Promise<unknown>
}
