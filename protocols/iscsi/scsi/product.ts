/** SPC-4 6.6.2: what the disks call themselves. */

export const VENDOR = 'POOLHOUS'
export const PRODUCT = 'VIRTUAL-DISK'
export const REVISION = '0001'
