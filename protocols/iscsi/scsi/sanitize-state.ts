/** SBC-3 4.11: a sanitize operation that runs, or that has failed. */

export interface SanitizeState {
  /** 0 to 65535 of 65536. */
  progress: number
  /** It ended with an error: nothing but another one, or EXIT FAILURE MODE, helps. */
  hasFailed: boolean
  /** AUSE: EXIT FAILURE MODE may be used. */
  readonly allowsExit: boolean
}
