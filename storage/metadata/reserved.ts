/** Which extended attributes of the `user.` namespace hold metadata of a file server and are not a client's own (MS-FSCC 2.4.15). */

const NAMESPACE = 'user.'
/** Everything of our own begins so. */
export const OWN_PREFIX = 'user.poolhouse.'

/** Samba's and netatalk's, in lower case: EA names are compared without case. */
const RESERVED_NAMES = new Set(
  [
    'user.DOSATTRIB',
    'user.DosAttrib',
    'user.DosEAs',
    'user.SAMBA_PAI',
    'user.SAMBA_STREAMS',
    'user.SmbReparse',
    'user.NTACL',
  ].map((name) => name.toLowerCase()),
)
const RESERVED_PREFIXES = ['user.DosStream.', 'user.DosStreamExt.', 'user.org.netatalk.', OWN_PREFIX].map(
  (prefix) => prefix.toLowerCase(),
)

/** Whether an attribute, with its `user.` prefix, must be kept from clients that read or write EAs. */
export function isReservedXattr(xattr: string): boolean {
  const name = xattr.toLowerCase()
  return RESERVED_NAMES.has(name) || RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix))
}

/**
 * The EA name of an attribute of the file system; undefined when it is none (another namespace, or
 * reserved).
 */
export function eaOfXattr(xattr: string): string | undefined {
  if (!xattr.startsWith(NAMESPACE) || isReservedXattr(xattr)) return undefined
  const name = xattr.slice(NAMESPACE.length)
  return name === '' ? undefined : name
}

/** The attribute that holds an EA; undefined when that name is reserved. */
export function xattrOfEa(name: string): string | undefined {
  const xattr = NAMESPACE + name
  return name === '' || isReservedXattr(xattr) ? undefined : xattr
}
