/** Where a dataset is replicated to or from: a dataset of this machine, or of one that ssh reaches. */

/** `user@host:tank/backups/box`, or `usb/box` for a pool of this machine. */
export interface Place {
  /** As written. */
  readonly text: string
  /** As ssh takes it; undefined: this machine. */
  readonly host: string | undefined
  readonly dataset: string
}

export const PLACE_FORMS =
  'use "user@host:tank/backups/box", or "pool/box" for a pool of this machine; names without spaces'
/** Without spaces, which no shell on the way could take apart. */
export const PLAIN_DATASET = /^[A-Za-z0-9][A-Za-z0-9_.:-]*(?:\/[A-Za-z0-9][A-Za-z0-9_.:-]*)*$/
const PLACE =
  /^(?:((?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])):)?([^:]+(?::.*)?)$/

/** @returns undefined when it is no place that can be replicated to or from */
export function parsePlace(text: unknown): Place | undefined {
  const [, host, dataset = ''] = typeof text === 'string' ? (PLACE.exec(text) ?? []) : []
  if (typeof text !== 'string' || !PLAIN_DATASET.test(dataset)) return undefined
  // What ends at the colon would be a host: a pool of that name has to be reached as one of another machine.
  if (host === undefined && /^[^/]*:/.test(dataset)) return undefined
  return { text, host: host?.replaceAll(/[[\]]/g, ''), dataset }
}
