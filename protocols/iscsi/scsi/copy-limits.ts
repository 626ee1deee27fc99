/** SPC-4 6.4: what EXTENDED COPY takes. */

/** Descriptor type codes (SPC-4 table 127, 143). */
export const Segment = { blockToBlock: 0x02, blockToBlockWithOffset: 0x0a } as const
export const Target = { identification: 0xe4 } as const

export const blockDeviceLimits = { targets: 16, segments: 256, descriptorBytes: 64 * 1024 } as const
/** Of one segment: what NUMBER OF BLOCKS of 16 bits can say; NUMBER OF BYTES could say more. */
export const MAXIMUM_COPY_BYTES = 0xffff * 4096
