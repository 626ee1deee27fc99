/** Being found: mDNS for Macs and Linux, WS-Discovery for Windows, on every link on which clients reach this server. */

import { type Cancel, type Environment, type Log, Timers } from './environment.ts'
import { MdnsAdvertiser } from './mdns/advertiser.ts'
import { type LinkSelection, readLinkState, watchLinks } from './network/links.ts'
import { type Offer, servicesOf, unannouncedShares } from './services.ts'
import { WsdAdvertiser } from './wsd/advertiser.ts'

/** Windows connects to this port and no other. */
export const WINDOWS_SMB_PORT = 445
/** After this a link that could not be taken is tried again. */
const RETRY_MILLISECONDS = 2000

export interface DiscoveryOptions {
  readonly environment: Environment
  readonly log: Log
  readonly mdns: boolean
  readonly wsd: boolean
  /** Which interfaces, and which addresses of them are served. */
  readonly selection: LinkSelection
  /** Host and instance name: letters, digits and "-". */
  readonly name: string
  readonly workgroup: string
  readonly version: string
  /** Lower case; the same over restarts. */
  readonly endpointUuid: string
  readonly offer: Offer
}

/** What is announced by one protocol. */
export interface Announcement {
  readonly protocol: 'mdns' | 'wsd'
  readonly name: string
  /** Empty: no client could reach this server from another host. */
  readonly links: readonly string[]
}

export interface Discovery {
  announcements(): Announcement[]
  /** After a reload of the shares. */
  update(offer: Offer): void
  /** Goodbye, on all links. */
  close(): Promise<void>
}

/** Starts announcing. What cannot be done is in the log; the server serves all the same. */
export async function startDiscovery(options: DiscoveryOptions): Promise<Discovery> {
  const { environment, log, name } = options
  const wsd = isForWindows(options) ? new WsdAdvertiser(options) : undefined
  const services = servicesOf(options.offer)
  const renamed = (other: string): void => wsd?.rename(other)
  const mdns = options.mdns ? new MdnsAdvertiser({ environment, log, name, services, renamed }) : undefined
  warnOfLongNames(options.offer, log)
  const advertisers = [mdns, wsd].filter((each) => each !== undefined)
  const stopFollowing = await followLinks(options, advertisers, () => {
    mdns?.announceAgain()
    wsd?.helloAgain()
  })
  return {
    announcements: () => [
      ...(mdns === undefined
        ? []
        : [{ protocol: 'mdns' as const, name: `${mdns.name}.local`, links: mdns.links }]),
      ...(wsd === undefined
        ? []
        : [{ protocol: 'wsd' as const, name: mdns?.name ?? name, links: wsd.links }]),
    ],
    update(offer) {
      warnOfLongNames(offer, log)
      mdns?.setServices(servicesOf(offer))
    },
    async close() {
      stopFollowing()
      await Promise.all(advertisers.map((advertiser) => advertiser.stop()))
    },
  }
}

type Advertiser = Pick<MdnsAdvertiser | WsdAdvertiser, 'setLinks'>

/** Gives the advertisers the links as they are, now and whenever they change. @returns how to stop */
async function followLinks(
  { environment, log, selection }: DiscoveryOptions,
  advertisers: readonly Advertiser[],
  woken: () => void,
): Promise<Cancel> {
  const timers = new Timers(environment)
  let latest = readLinkState(selection)
  const apply = async (): Promise<void> => {
    const complete = await Promise.all(advertisers.map((advertiser) => advertiser.setLinks(latest)))
    timers.cancelAll()
    if (!complete.every((each) => each)) timers.after(RETRY_MILLISECONDS, again)
  }
  const again = (): void => {
    apply().catch((error: unknown) =>
      log('warn', 'discovery: a change of interfaces was not taken over', { error }),
    )
  }
  await apply()
  const stopWatching = watchLinks(
    environment,
    () => readLinkState(selection),
    latest,
    (state, woke) => {
      latest = state
      again()
      if (woke) woken()
    },
  )
  return () => {
    stopWatching()
    timers.cancelAll()
  }
}

/** Nothing is announced that a Windows machine could not open. */
function isForWindows({ wsd, offer, log }: DiscoveryOptions): boolean {
  if (!wsd || offer.smbPort === undefined) return false
  if (offer.smbPort === WINDOWS_SMB_PORT) return true
  log(
    'info',
    `WS-Discovery: nothing announced: Windows connects to port ${WINDOWS_SMB_PORT} alone, and SMB has another`,
  )
  return false
}

function warnOfLongNames(offer: Offer, log: Log): void {
  for (const name of unannouncedShares(offer)) {
    log('warn', `mDNS: share "${name}" is not offered to Time Machine: its name is too long to be announced`)
  }
}
