/** What would keep other hosts from finding the server. That another host has its name shows on the network alone. */

import { networkInterfaces } from 'node:os'
import { WINDOWS_SMB_PORT } from '../../discovery/discovery.ts'
import type { Family } from '../../discovery/network/link.ts'
import { whyPortNotBindable } from '../../discovery/network/native-socket.ts'
import { unannouncedShares } from '../../discovery/services.ts'
import { isLoopback } from '../config/addresses.ts'
import type { Configuration } from '../config/types.ts'
import { announcedPort, offerOf } from '../serve/discovery.ts'

const MDNS_PORT = 5353
const WSD_PORT = 3702
const GUID_BYTES = 16
const FAMILIES: readonly Family[] = [4, 6]

export interface DiscoveryFinding {
  readonly severity: 'warning' | 'note'
  readonly message: string
}

/** @param device where ports are tried: they are shared by interface */
export function probeDiscovery(configuration: Configuration, device = 'lo'): DiscoveryFinding[] {
  const { discovery, smb } = configuration
  const findings: DiscoveryFinding[] = []
  if (!smb.enabled || (!discovery.mdns && !discovery.wsd)) return findings
  // A server for this machine alone, as the built-in configuration's, has nothing to announce.
  if (smb.listen.every(({ host }) => isLoopback(host))) return findings
  const present = networkInterfaces()
  for (const name of discovery.interfaces.filter((each) => present[each] === undefined)) {
    findings.push({
      severity: 'warning',
      message: `discovery.interfaces: "${name}" is no interface with an address`,
    })
  }
  if (discovery.mdns) findings.push(...probeMdns(configuration, device))
  if (discovery.wsd) findings.push(...probeWsd(configuration, device))
  return findings
}

function probeMdns(configuration: Configuration, device: string): DiscoveryFinding[] {
  const offer = offerOf(configuration, announcedPort(configuration.smb.listen), Buffer.alloc(GUID_BYTES))
  const tooLong = unannouncedShares(offer).map((name): DiscoveryFinding => {
    const message = `share "${name}": its name is too long to be announced to Time Machine; take a shorter one`
    return { severity: 'warning', message }
  })
  return [...tooLong, ...portFindings('mDNS', 'mdns', MDNS_PORT, device)]
}

function probeWsd({ smb }: Configuration, device: string): DiscoveryFinding[] {
  if (announcedPort(smb.listen) === WINDOWS_SMB_PORT)
    return portFindings('WS-Discovery', 'wsd', WSD_PORT, device)
  const message = `WS-Discovery: not announced: Windows connects to port ${WINDOWS_SMB_PORT} alone; set smb.listen, or discovery.wsd = false`
  return [{ severity: 'note', message }]
}

function portFindings(what: string, key: string, port: number, device: string): DiscoveryFinding[] {
  const codes = FAMILIES.map((family) => whyPortNotBindable(family, port, device))
  const [code] = codes.filter((each) => each === 'EADDRINUSE' || each === 'EACCES' || each === 'EPERM')
  if (code === undefined) return []
  const message =
    code === 'EADDRINUSE'
      ? `${what}: UDP port ${port} is taken by a program that does not share it; stop that, or set discovery.${key} = false`
      : `${what}: UDP port ${port} cannot be used (${code}); run as root, or set discovery.${key} = false`
  return [{ severity: 'warning', message }]
}
