/** A server that is measured: ours, or one that it is compared with. */

/** The share that every server has, on the same folder. */
export const SHARE = 'bench'
/** The same folder for Macs, with Time Machine. */
export const MAC_SHARE = 'bench-mac'

/** The disk that every iSCSI server has: its file lies in the shared folder. */
export const DISK = { target: 'iqn.2026-11.test.bench:disk', lun: 1 } as const
export const DISK_FILE = 'disk.img'

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
