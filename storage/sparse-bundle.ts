/** Where Macs keep disk images, those of Time Machine among them, in a share's root: bundles whose bands are pieces of the image, all of one size. */

const BUNDLE = /^(.+)\.(?:sparsebundle|backupbundle)$/i
/** Names as macOS writes them: a band is called by its number. */
const BANDS = 'bands'
const BAND = /^[0-9a-f]{1,16}$/i

/** A property list beside the bands; its `band-size` is their size in bytes. */
export const BUNDLE_INFO = 'Info.plist'

/** The name of a bundle without its ending; undefined when a name is no bundle's. */
export function bundleStem(name: string): string | undefined {
  return BUNDLE.exec(name)?.[1]
}

/** What a path means in a bundle that lies in the root; `bundle` is the bundle's name. */
export interface BundlePart {
  readonly kind: 'bundle' | 'info' | 'bands' | 'band'
  readonly bundle: string
}

/** @param path from the share's root, separated by '/', as names are stored. @returns undefined for all that is no part of an image */
export function bundlePart(path: string): BundlePart | undefined {
  const [bundle = '', inside, band, ...deeper] = path.split('/', 4)
  if (deeper.length > 0 || bundleStem(bundle) === undefined) return undefined
  if (inside === undefined) return { kind: 'bundle', bundle }
  if (band !== undefined) return inside === BANDS && isBand(band) ? { kind: 'band', bundle } : undefined
  if (inside === BANDS) return { kind: 'bands', bundle }
  return inside === BUNDLE_INFO ? { kind: 'info', bundle } : undefined
}

/** Whether an entry of `bands` is one. */
export function isBand(name: string): boolean {
  return BAND.test(name)
}
