/** What the configuration can say and this version does not do yet. A key leaves this list with the change that builds it. */

import type { Configuration, ShareConfiguration } from '../config/types.ts'

const NOT_BUILT = 'is not built in this version'

export interface NotBuilt {
  /** true: something that was asked for is not served at all; false: it is served without a feature. */
  readonly missing: boolean
  readonly message: string
}

/** What was asked for and will not happen, for the log and for `check`. */
export function notBuilt(configuration: Configuration): NotBuilt[] {
  const found: NotBuilt[] = []
  const add = (missing: boolean, message: string): void => void found.push({ missing, message })
  if (configuration.afp.enabled) add(true, `[afp]: AFP ${NOT_BUILT}; nothing listens for it`)
  for (const share of configuration.shares) {
    const reason = whyNotServed(share)
    if (reason !== undefined) add(true, `share "${share.name}" is not served: ${reason}`)
  }
  return found
}

/** The shares that this version serves over SMB. */
export function servedShares(
  configuration: Configuration,
): (ShareConfiguration & { readonly path: string })[] {
  return configuration.shares.flatMap((share) => {
    const { path } = share
    return path === undefined || whyNotServed(share) !== undefined ? [] : [{ ...share, path }]
  })
}

/** Serving such a share without the feature would show its users something else than was asked for. */
function whyNotServed(share: ShareConfiguration): string | undefined {
  if (!share.protocols.includes('smb')) return `AFP ${NOT_BUILT}; add "smb" to its protocols`
  return undefined
}
