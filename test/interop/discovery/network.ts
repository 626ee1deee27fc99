/** A LAN of network namespaces: hosts on one bridge, and a second cable between two of them. All of it ends with the suite's own namespace. */

import { type ChildProcess, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { killGroup, succeed } from '../process.ts'

const commandSeconds = 20
/** The namespace with the bridge. */
const lan = 'lan'

/** Runs `ip` with arguments written as one string. */
export async function ip(command: string): Promise<void> {
  await succeed('ip', command.split(' '), { seconds: commandSeconds })
}

/**
 * Makes hosts with `eth0` on one bridge: the first has 10.77.0.1, the second 10.77.0.2, ... Their folder of names is
 * a file system of the suite's own, so that nothing is left on the machine.
 */
export async function makeLan(hosts: readonly string[]): Promise<void> {
  await succeed('mount', ['-t', 'tmpfs', 'tmpfs', '/run'], { seconds: commandSeconds })
  for (const name of [lan, ...hosts]) {
    await ip(`netns add ${name}`)
    await ip(`-n ${name} link set lo up`)
  }
  await ip(`-n ${lan} link add br0 type bridge mcast_snooping 0`)
  await ip(`-n ${lan} link set br0 up`)
  for (const [index, name] of hosts.entries()) {
    await ip(`-n ${name} link add eth0 type veth peer name ${name} netns ${lan}`)
    await ip(`-n ${lan} link set ${name} master br0 up`)
    await ip(`-n ${name} addr add 10.77.0.${index + 1}/24 dev eth0`)
    await ip(`-n ${name} link set eth0 up`)
  }
}

/** A cable between two hosts: `eth1` of both, 10.78.0.1 and 10.78.0.2. */
export async function addCable(one: string, other: string): Promise<void> {
  await ip(`-n ${one} link add eth1 type veth peer name eth1 netns ${other}`)
  for (const [index, name] of [one, other].entries()) {
    await ip(`-n ${name} addr add 10.78.0.${index + 1}/24 dev eth1`)
    await ip(`-n ${name} link set eth1 up`)
  }
}

/** The words that run a command on a host. */
export function onHost(host: string): string[] {
  return ['ip', 'netns', 'exec', host]
}

/** Runs a command on a host. @returns its standard output */
export function inHost(
  host: string,
  command: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const [program = '', ...args] = [...onHost(host), ...command]
  return succeed(program, args, { seconds: commandSeconds, env })
}

/** A program that runs beside the checks, on a host. */
export interface Daemon {
  /** What it has written so far, when it was not sent to a file. */
  output(): string
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<void>
}

/** Starts a program on a host. @param logFile for its standard error */
export function startOnHost(
  host: string,
  command: readonly string[],
  logFile: string,
  env: Record<string, string> = {},
): Daemon {
  const [program = '', ...args] = [...onHost(host), ...command]
  const log = openSync(logFile, 'a')
  const child: ChildProcess = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'pipe', log],
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...env },
  })
  process.on('exit', () => killGroup(child))
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    output: () => text,
    async stop() {
      killGroup(child, 'SIGTERM')
      await ended
    },
  }
}
