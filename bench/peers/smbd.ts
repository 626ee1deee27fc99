/** Samba's smbd, as Debian's package has it by default, for a share with what ours keeps: streams and DOS attributes in xattrs. */

import { isInstalled } from '../../test/interop/needs.ts'
import { freePort } from '../../test/interop/ports.ts'
import { startSmbd } from '../../test/interop/smbd.ts'
import { type Peer, type RunningServer, SHARE, type StartOptions } from './peer.ts'

export const smbd: Peer = {
  name: 'smbd',
  missing: () =>
    isInstalled('smbd') && isInstalled('smbpasswd') ? undefined : 'needs the Debian package samba',
  start,
}

async function start({ stateDirectory, data, account }: StartOptions): Promise<RunningServer> {
  return startSmbd({
    ...{ directory: stateDirectory, port: await freePort(), accounts: [account] },
    globals: ['log level = 0', 'server signing = auto'],
    shares: { [SHARE]: [`path = ${data}`, 'read only = no', 'vfs objects = streams_xattr'] },
  })
}
