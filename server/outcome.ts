/** Expected outcomes of what the command line and the state files do: a value, or a sentence for people. */

export type Outcome<T> = { readonly ok: true; readonly value: T } | Failure

/** `message` says what is wrong, where, and what to do. */
export interface Failure {
  readonly ok: false
  readonly message: string
}

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value }
}

export function failed(message: string): Failure {
  return { ok: false, message }
}
