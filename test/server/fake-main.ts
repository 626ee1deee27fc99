/** The poolhouse command with a server in place of the protocols': it binds, and remembers what it was told. */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { runCommand } from '../../server/cli/program.ts'
import { formatListenAddress } from '../../server/config/addresses.ts'
import type { Configuration } from '../../server/config/types.ts'
import { Events } from '../../server/events.ts'
import { servedShares } from '../../server/serve/not-built.ts'
import type { RunningServer, StartOptions } from '../../server/serve/running-server.ts'
import { FAKE_BACKUPS, FAKE_POOLS, FAKE_STATUS, FAKE_USAGE } from './fake-status.ts'

async function startServer({ configuration }: StartOptions): Promise<RunningServer> {
  const [listen = { host: '127.0.0.1', port: 0 }] = configuration.smb.listen
  const socket = createServer()
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject).listen(listen.port, listen.host, resolve)
  })
  const { port } = socket.address() as AddressInfo
  let current: Configuration = configuration
  return {
    listeners: [{ protocol: 'smb', address: formatListenAddress({ host: listen.host, port }) }],
    announcements: () => [{ protocol: 'mdns', name: 'ocean.local', links: ['eth0', 'eth1'] }],
    shares: () => servedShares(current),
    async reload(next) {
      if (next.shares.some((share) => share.name === 'refused'))
        throw new Error('share "refused" cannot be opened')
      current = next
    },
    releaseShares: () => Promise.resolve(),
    status: () => FAKE_STATUS,
    usage: () => FAKE_USAGE,
    backups: () => FAKE_BACKUPS,
    pools: () => FAKE_POOLS,
    events: new Events(() => undefined),
    closeSession: (id) => id === '17',
    closeFile: (id) => id === '99',
    close: () =>
      // A folder of this name stands for clients that never finish.
      current.shares.some((share) => share.name === 'endless')
        ? new Promise<void>(() => undefined)
        : new Promise<void>((resolve) => socket.close(() => resolve())),
  }
}

const code = await runCommand(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  directory: process.cwd(),
  isRoot: false,
  startServer,
})
process.exit(code)
