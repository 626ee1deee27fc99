/** Which interfaces lead to people's machines: all but loopback, containers, bridges of virtual machines, and tunnels. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Linux's description of network interfaces; a test brings its own. */
export interface InterfaceFacts {
  /** A file below the interface's folder, trimmed. */
  read(name: string, file: string): string | undefined
  exists(name: string, file: string): boolean
  /** Names in a folder below the interface's. */
  list(name: string, folder: string): readonly string[]
}

const FOLDER = '/sys/class/net'

export const systemFacts: InterfaceFacts = {
  read(name, file) {
    try {
      return readFileSync(join(FOLDER, name, file), 'utf8').trim()
    } catch {
      return undefined
    }
  },
  exists: (name, file) => existsSync(join(FOLDER, name, file)),
  list(name, folder) {
    try {
      return readdirSync(join(FOLDER, name, folder))
    } catch {
      return []
    }
  },
}

/** ARPHRD_ETHER and ARPHRD_INFINIBAND of linux/if_arp.h; Wi-Fi is Ethernet, tunnels are something else. */
const LINK_TYPES = ['1', '32']
/** DEVTYPE of uevent: layer 2 over layer 3. */
const TUNNEL_KINDS = ['wireguard', 'vxlan', 'geneve', 'gre', 'gretap', 'ppp', 'bareudp']
/** Kinds that stand for a real port when they are members of a bridge. */
const PORT_KINDS = ['vlan', 'bond', 'wlan', 'dsa', 'team']
/** What container engines, hypervisors and VPNs call theirs, where the system gives no better sign. */
const VIRTUAL_NAMES =
  /^(?:veth|docker|br-[0-9a-f]{12}$|virbr|lxc|lxd|incus|cni|cbr|flannel|cali|cilium|kube|podman|nerdctl|vmnet|vboxnet|vnet|tun|tap|wg|zt|tailscale|utun|ifb|dummy)/

/**
 * @returns why the interface is left out unless it is named in the configuration; undefined: it is taken.
 */
export function whyLeftOut(name: string, facts: InterfaceFacts = systemFacts): string | undefined {
  if (facts.exists(name, 'tun_flags')) return 'tunnel'
  const type = facts.read(name, 'type')
  if (type !== undefined && !LINK_TYPES.includes(type)) return 'not Ethernet'
  const kind = kindOf(name, facts)
  if (kind !== undefined && TUNNEL_KINDS.includes(kind)) return 'tunnel'
  if (VIRTUAL_NAMES.test(name)) return 'container or tunnel, by its name'
  if (facts.exists(name, 'brport')) return 'port of a bridge'
  // A box with virtual machines has its LAN address on a bridge around its network card: without that one nobody would find it.
  if (facts.exists(name, 'bridge') && !facts.list(name, 'brif').some((port) => isRealPort(port, facts))) {
    return 'bridge without a network card'
  }
  return undefined
}

function isRealPort(name: string, facts: InterfaceFacts): boolean {
  const kind = kindOf(name, facts)
  return facts.exists(name, 'device') || (kind !== undefined && PORT_KINDS.includes(kind))
}

function kindOf(name: string, facts: InterfaceFacts): string | undefined {
  return /^DEVTYPE=(.*)$/m.exec(facts.read(name, 'uevent') ?? '')?.[1]
}
