/** From the configuration and what is listened on to what is announced on the network. */

import { type Discovery, startDiscovery, WINDOWS_SMB_PORT } from '../../discovery/discovery.ts'
import type { Log } from '../../discovery/environment.ts'
import type { Offer } from '../../discovery/services.ts'
import { nameUuid } from '../../discovery/uuid.ts'
import type { Environment } from '../../protocols/transport/engine.ts'
import {
  isLoopback,
  isUnspecified,
  type ListenAddress,
  parseListenAddress,
  sameFamily,
} from '../config/addresses.ts'
import type { Configuration } from '../config/types.ts'
import { packageVersion } from '../version.ts'
import { servedShares } from './not-built.ts'

export interface ServerDiscoveryOptions {
  readonly configuration: Configuration
  /** As bound. */
  readonly smbAddresses: readonly string[]
  /** 16 bytes, kept in the state directory: the persistent ids of server and shares follow from it. */
  readonly serverGuid: Buffer
  readonly environment: Environment
  readonly log: Log
}

export interface ServerDiscovery extends Pick<Discovery, 'announcements' | 'close'> {
  /** After a reload. */
  update(configuration: Configuration): void
}

/** Starts what `[discovery]` says. A server that cannot announce itself serves all the same. */
export async function startServerDiscovery(options: ServerDiscoveryOptions): Promise<ServerDiscovery> {
  const { configuration, serverGuid, log } = options
  const listened = options.smbAddresses.map(parseListenAddress).filter((address) => address !== undefined)
  const smbPort = announcedPort(listened)
  const { mdns, wsd } = configuration.discovery
  const discovery = await start(options, listened, smbPort).catch((error: unknown) => {
    log('warn', 'discovery: nothing is announced', { error })
    return undefined
  })
  const links = new Set(discovery?.announcements().flatMap((announcement) => announcement.links))
  if ((mdns || wsd) && links.size === 0) {
    log('info', 'discovery: nothing is announced: SMB listens on no interface that other hosts reach')
  }
  return {
    announcements: () => discovery?.announcements() ?? [],
    close: async () => discovery?.close(),
    update: (changed) => discovery?.update(offerOf(changed, smbPort, serverGuid)),
  }
}

function start(
  { configuration, serverGuid, environment, log }: ServerDiscoveryOptions,
  listened: readonly ListenAddress[],
  smbPort: number | undefined,
): Promise<Discovery> {
  const { name, workgroup } = configuration.server
  const { mdns, wsd, interfaces } = configuration.discovery
  return startDiscovery({
    environment,
    log,
    mdns,
    wsd,
    selection: { interfaces, isServed: (address) => isServed(address, listened, smbPort) },
    name,
    workgroup,
    version: packageVersion(),
    endpointUuid: nameUuid(serverGuid, 'ws-discovery'),
    offer: offerOf(configuration, smbPort, serverGuid),
  })
}

/** What there is to announce. AFP joins when it is served. */
export function offerOf(
  configuration: Configuration,
  smbPort: number | undefined,
  serverGuid: Buffer,
): Offer {
  const timeMachine = servedShares(configuration).filter((share) => share.timeMachine)
  return {
    smbPort,
    afpPort: undefined,
    model: configuration.server.model,
    timeMachine: timeMachine.map(({ name, protocols }) => ({
      name,
      // A Mac takes a disk with another id for another disk, so it must outlive restarts, and moves of the folder.
      uuid: nameUuid(serverGuid, `share ${name.toLowerCase()}`).toUpperCase(),
      smb: protocols.includes('smb'),
      afp: protocols.includes('afp'),
    })),
  }
}

/**
 * The port that is announced, when SMB listens on several: Windows' own, else that of the first address which other hosts
 * can reach.
 */
export function announcedPort(listened: readonly ListenAddress[]): number | undefined {
  const reachable = listened.filter(({ host }) => !isLoopback(host))
  const ports = (reachable.length > 0 ? reachable : listened).map(({ port }) => port)
  return ports.includes(WINDOWS_SMB_PORT) ? WINDOWS_SMB_PORT : ports[0]
}

/** One port can be announced; addresses on which SMB has another are left out. */
function isServed(address: string, listened: readonly ListenAddress[], port: number | undefined): boolean {
  return listened.some(
    (listen) =>
      listen.port === port &&
      (listen.host === address || (isUnspecified(listen.host) && sameFamily(listen.host, address))),
  )
}
