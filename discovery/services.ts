/** What is announced by DNS-SD (RFC 6763): the services of this server with their ports and TXT strings. Pure. */

/** A share that Macs may choose as a backup destination. */
export interface TimeMachineShare {
  /** Byte for byte the share's name: the Mac mounts `smb://<instance>._smb._tcp.local./<name>`. */
  readonly name: string
  /** Persistent: a Mac takes a share with another UUID for another disk. */
  readonly uuid: string
  readonly smb: boolean
  readonly afp: boolean
}

/** What there is to announce, by any protocol. */
export interface Offer {
  /** TCP port of SMB; undefined: it is not served. */
  readonly smbPort: number | undefined
  readonly afpPort: number | undefined
  /** Decides the icon in Finder. */
  readonly model: string
  readonly timeMachine: readonly TimeMachineShare[]
}

/** One service under the server's instance name. */
export interface Service {
  /** Without underscores: `smb`. All are TCP. */
  readonly type: string
  readonly port: number
  /** The strings of the TXT record in their order. */
  readonly txt: Readonly<Record<string, string>>
}

/** Bits of `adVF`: 0x82 is a Time Machine volume over SMB, 0x81 over AFP, 0x83 over both. */
const VOLUME_TIME_MACHINE = 0x80
const VOLUME_SMB = 0x02
const VOLUME_AFP = 0x01
/**
 * `adVF` of the server: with it the client asks for the list of shares, and Finder shows them; without it, it would show
 * the Time Machine share alone. `waMa` is the MAC address of an AirPort device, 0 for all others.
 */
const SERVER_STRING = 'waMa=0,adVF=0x100'
/** The port of `_adisk._tcp` is not used by clients; discard's is what they are used to. */
const DISK_PORT = 9
/** RFC 6763 6.1: one string of a TXT record has at most 255 bytes. */
const TXT_STRING_MAXIMUM_BYTES = 255

/** The services of an offer. Nothing is announced that is not served. */
export function servicesOf(offer: Offer): Service[] {
  const services: Service[] = []
  const { smbPort, afpPort } = offer
  if (smbPort !== undefined) services.push({ type: 'smb', port: smbPort, txt: {} })
  if (afpPort !== undefined) services.push({ type: 'afpovertcp', port: afpPort, txt: {} })
  if (services.length === 0) return []
  services.push({ type: 'device-info', port: 0, txt: { model: offer.model } })
  const disks = diskStrings(offer)
  if (disks.length > 0) {
    const txt = {
      sys: SERVER_STRING,
      ...Object.fromEntries(disks.map((disk, index) => [`dk${index}`, disk])),
    }
    services.push({ type: 'adisk', port: DISK_PORT, txt })
  }
  return services
}

/** Time Machine shares whose name is too long to be announced. */
export function unannouncedShares(offer: Offer): string[] {
  return servedDisks(offer)
    .filter((share) => diskString(share, offer) === undefined)
    .map((share) => share.name)
}

function diskStrings(offer: Offer): string[] {
  return servedDisks(offer)
    .map((share) => diskString(share, offer))
    .filter((text) => text !== undefined)
}

function servedDisks(offer: Offer): TimeMachineShare[] {
  return offer.timeMachine.filter((share) => volumeFlags(share, offer) !== VOLUME_TIME_MACHINE)
}

/** Never AFP's bit without AFP: Finder would try it and say "connection failed". */
function volumeFlags(share: TimeMachineShare, { smbPort, afpPort }: Offer): number {
  const smb = share.smb && smbPort !== undefined ? VOLUME_SMB : 0
  const afp = share.afp && afpPort !== undefined ? VOLUME_AFP : 0
  return VOLUME_TIME_MACHINE | smb | afp
}

/** The value of `dkN`. @returns undefined when it cannot fit into one string */
function diskString(share: TimeMachineShare, offer: Offer): string | undefined {
  const flags = `adVF=0x${volumeFlags(share, offer).toString(16)}`
  const text = `adVN=${share.name},${flags},adVU=${share.uuid}`
  const longestKey = `dk${offer.timeMachine.length}=`
  return Buffer.byteLength(longestKey + text) <= TXT_STRING_MAXIMUM_BYTES ? text : undefined
}
