/** From the configuration's shares to those that the protocols serve. */

import type { Admission, Principal, Share } from '../../protocols/smb2/state/server.ts'
import type { FileSystem, Identity } from '../../storage/file-system.ts'
import { compile } from '../../storage/names/expression.ts'
import { type ForcedIdentity, forcedIdentity, identityOf, isListed, mayUse } from '../accounts/identity.ts'
import type { LiveAccounts } from '../accounts/live.ts'
import type { SystemUsers } from '../accounts/system-users.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'

/** Whose rights guests have: the system's user for nobody in particular. */
const GUEST_USER = 'nobody'

/** What decides about accounts. */
export interface AccountSources {
  readonly accounts: LiveAccounts
  readonly systemUsers: SystemUsers
  readonly isRoot: boolean
}

/**
 * The share of one entry of the configuration.
 * @throws Error when force_user or force_group names nobody
 */
export function diskShare(
  configuration: ShareConfiguration,
  { fileSystem, previousVersions }: Pick<Share, 'previousVersions'> & { readonly fileSystem: FileSystem },
  sources: AccountSources,
): Share {
  const forced = forcedIdentity(configuration, sources.systemUsers)
  if (!forced.ok) throw new Error(`share "${configuration.name}": ${forced.message}`)
  const patterns = configuration.hideFiles.map((pattern) => compile(pattern))
  const forcedIdentityOfShare = sources.isRoot ? forced.value : { user: undefined, gid: undefined }
  return {
    name: configuration.name,
    type: 'disk',
    remark: configuration.comment,
    path: configuration.path ?? '',
    browseable: configuration.browseable,
    encryptData: configuration.encryption === 'required',
    fileSystem,
    createMask: configuration.createMask,
    directoryMask: configuration.directoryMask,
    forcedOwner: ownerOf(forcedIdentityOfShare),
    hideDotFiles: configuration.hideDotFiles,
    hidden: patterns.length === 0 ? undefined : (name) => patterns.some((matches) => matches(name)),
    hideUnreadable: configuration.hideUnreadable,
    deleteReadonly: configuration.deleteReadonly,
    followLinks: configuration.followSymlinks,
    netatalkLocking: configuration.fruitLocking === 'netatalk',
    zeroFileId: configuration.fruitZeroFileId,
    modesByDefault: configuration.defaultAclStyle === 'posix',
    previousVersions,
    admit: (principal) => admit(principal, configuration, sources, forcedIdentityOfShare),
  }
}

/** A forced group needs a forced owner to be set together; the user alone is the identity's already. */
function ownerOf({ user, gid }: ForcedIdentity): Share['forcedOwner'] {
  return user === undefined ? undefined : { uid: user.uid, gid: gid ?? user.gid }
}

function admit(
  principal: Principal,
  share: ShareConfiguration,
  sources: AccountSources,
  forced: ForcedIdentity,
): Admission | undefined {
  const { readOnly } = share
  const asForced = (identity: Identity | undefined): Identity | undefined => withForced(identity, forced)
  if (principal.kind === 'anonymous') return undefined
  if (principal.kind === 'guest') {
    if (!share.guestOk) return undefined
    const identity = sources.isRoot ? sources.systemUsers.user(GUEST_USER) : undefined
    if (sources.isRoot && identity === undefined && forced.user === undefined) return undefined
    return { identity: asForced(identity), readOnly, administrator: false }
  }
  const account = sources.accounts.find(principal.user)
  if (account === undefined || !mayUse(share, account, sources.systemUsers)) return undefined
  if (isListed(share.adminUsers, account, sources.systemUsers)) {
    return { identity: undefined, readOnly, administrator: true }
  }
  const identity = identityOf(account, sources.systemUsers, sources.isRoot)
  return identity.ok ? { identity: asForced(identity.value), readOnly, administrator: false } : undefined
}

function withForced(identity: Identity | undefined, { user, gid }: ForcedIdentity): Identity | undefined {
  const base = user ?? identity
  return base === undefined || gid === undefined ? base : { ...base, gid }
}

/** IPC$: every user's, and the anonymous ones' where they are let in at all. */
export function pipeShare(configuration: Configuration, sources: AccountSources): Share {
  const administrators = configuration.shares.flatMap((share) => share.adminUsers)
  return {
    name: 'IPC$',
    type: 'pipe',
    remark: 'IPC Service',
    path: '',
    browseable: true,
    encryptData: false,
    fileSystem: undefined,
    createMask: 0,
    directoryMask: 0,
    forcedOwner: undefined,
    hideDotFiles: false,
    hidden: undefined,
    hideUnreadable: false,
    deleteReadonly: false,
    followLinks: false,
    netatalkLocking: false,
    zeroFileId: false,
    modesByDefault: false,
    admit(principal) {
      const account = principal.kind === 'user' ? sources.accounts.find(principal.user) : undefined
      if (principal.kind === 'user' && account === undefined) return undefined
      const administrator = account !== undefined && isListed(administrators, account, sources.systemUsers)
      return { identity: undefined, readOnly: false, administrator }
    },
  }
}
