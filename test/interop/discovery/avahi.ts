/** Avahi on a host of the test's LAN: a daemon of its own with a bus of its own, and what its browser finds. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { delay } from '../server-process.ts'
import { type Daemon, inHost, startOnHost } from './network.ts'

/** One resolved service, as `avahi-browse -p` prints it. */
export interface Resolved {
  readonly interface: string
  readonly protocol: string
  readonly name: string
  readonly type: string
  readonly host: string
  readonly address: string
  readonly port: number
  /** Sorted. */
  readonly txt: readonly string[]
}

export interface Avahi {
  /** Everything that is there now. @param type of services; all without it */
  browse(type?: string): Promise<Resolved[]>
  /** Watches a type of services; its lines begin with +, = and -. */
  watch(type: string): Daemon
  /** @returns undefined when nobody answers for the name */
  resolve(name: string, version: 4 | 6): Promise<string | undefined>
  stop(): Promise<void>
}

const startMilliseconds = 1500

/** Starts an Avahi that programs can ask. */
export async function startAvahi(host: string, directory: string): Promise<Avahi> {
  const bus = join(directory, 'bus')
  const busConfiguration = join(directory, 'bus.conf')
  await writeFile(busConfiguration, busText(bus))
  const log = join(directory, 'avahi.log')
  const dbus = startOnHost(host, ['dbus-daemon', `--config-file=${busConfiguration}`, '--nofork'], log)
  await delay(startMilliseconds / 5, undefined)
  const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${bus}` }
  const daemon = await startAvahiDaemon(host, directory, 'browser', env)
  return {
    async browse(type) {
      const which = type === undefined ? ['-a'] : [type]
      const lines = await inHost(host, ['avahi-browse', ...which, '-r', '-p', '-t', '--no-db-lookup'], env)
      return lines
        .split('\n')
        .filter((line) => line.startsWith('='))
        .map(parseResolved)
    },
    watch: (type) => startOnHost(host, ['avahi-browse', type, '-r', '-p', '--no-db-lookup'], log, env),
    async resolve(name, version) {
      const output = await inHost(host, ['avahi-resolve', `-${version}`, '-n', name], env)
      return output.split('\t')[1]?.trim()
    },
    async stop() {
      await daemon.stop()
      await dbus.stop()
    },
  }
}

/** Starts the daemon alone; without a bus it only publishes its host's name. */
export async function startAvahiDaemon(
  host: string,
  directory: string,
  name: string,
  env: Record<string, string> = {},
): Promise<Daemon> {
  await mkdir('/run/avahi-daemon', { recursive: true })
  const configuration = join(directory, `avahi-${host}.conf`)
  const hasBus = Object.keys(env).length > 0
  await writeFile(configuration, daemonText(name, hasBus))
  // Two daemons on one machine: each sees a folder of its own for its process id.
  const start =
    'mount -t tmpfs tmpfs /run/avahi-daemon && exec avahi-daemon -f "$0" --no-drop-root --no-chroot --no-rlimits'
  const daemon = startOnHost(
    host,
    ['sh', '-c', start, configuration],
    join(directory, `avahi-${host}.log`),
    env,
  )
  await delay(startMilliseconds, undefined)
  return daemon
}

function daemonText(name: string, hasBus: boolean): string {
  return `[server]
host-name=${name}
use-ipv4=yes
use-ipv6=yes
ratelimit-interval-usec=0
enable-dbus=${hasBus ? 'yes' : 'no'}
[publish]
publish-workstation=no
publish-hinfo=no
`
}

function busText(socket: string): string {
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
<type>system</type><listen>unix:path=${socket}</listen>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>
</policy>
</busconfig>
`
}

/** `=;eth0;IPv4;ocean;_smb._tcp;local;ocean.local;10.77.0.1;445;"txt" "txt"` */
function parseResolved(line: string): Resolved {
  const [, network = '', protocol = '', name = '', type = '', , host = '', address = '', port = '', ...rest] =
    line.split(';')
  const txt = [...rest.join(';').matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? '').sort()
  return { interface: network, protocol, name, type, host, address, port: Number(port), txt }
}
