/** A server that is measured: ours, or one that it is compared with. */

/** The share that every server has, on the same folder. */
export const SHARE = 'bench'
/** The same folder for Macs, with Time Machine. */
export const MAC_SHARE = 'bench-mac'

/** The disk that every iSCSI server has: its file lies in the shared folder. */
export const DISK: Disk = { target: 'iqn.2026-11.test.bench:disk', lun: 1 }
export const DISK_FILE = 'disk.img'
/** The same for a thin one, most of which is a hole. */
export const LARGE_DISK: Disk = { ...DISK, lun: 2 }
export const LARGE_DISK_FILE = 'large-disk.img'
export const LARGE_DISK_BYTES = 100 * 1024 ** 3

export interface Disk {
  readonly target: string
  readonly lun: number
}

export interface Account {
  /** Also the name of a system user: both servers act as that one. */
  readonly name: string
  readonly password: string
}

export interface StartOptions {
  /** An empty folder for configuration and state. */
  readonly stateDirectory: string
  /** The folder that is shared. */
  readonly data: string
  readonly account: Account
}

export interface RunningServer {
  readonly port: number
  /** The process that started all others of the server. */
  readonly pid: number
  stop(): Promise<void>
}

export interface Peer {
  readonly name: string
  /** @returns why it cannot run on this machine */
  missing(): string | undefined
  /** @throws Error when it does not become ready */
  start(options: StartOptions): Promise<RunningServer>
}
