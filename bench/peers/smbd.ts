/** Samba's smbd, as Debian's package has it by default, for a share with what ours keeps: streams and DOS attributes in xattrs. */

import { isInstalled } from '../../test/interop/needs.ts'
import { freePort } from '../../test/interop/ports.ts'
import { startSmbd } from '../../test/interop/smbd.ts'
import { MAC_SHARE, type Peer, type RunningServer, SHARE, type StartOptions } from './peer.ts'

export const smbd: Peer = {
  name: 'smbd',
  missing: () =>
    isInstalled('smbd') && isInstalled('smbpasswd') ? undefined : 'needs the Debian package samba',
  start,
}

/** What guides for Time Machine on Samba set. */
const FOR_MACS = ['fruit:time machine = yes', 'fruit:metadata = stream', 'fruit:posix_rename = yes']

async function start({ stateDirectory, data, account }: StartOptions): Promise<RunningServer> {
  const folder = [`path = ${data}`, 'read only = no']
  return startSmbd({
    ...{ directory: stateDirectory, port: await freePort(), accounts: [account] },
    globals: ['log level = 0', 'server signing = auto'],
    shares: {
      [SHARE]: [...folder, 'vfs objects = streams_xattr'],
      [MAC_SHARE]: [...folder, 'vfs objects = catia fruit streams_xattr', ...FOR_MACS],
    },
  })
}
