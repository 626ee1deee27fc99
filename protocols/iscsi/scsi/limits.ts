/** SBC-3 6.5.3: what one command may ask for at most; the block limits page says so. */

/** MAXIMUM COMPARE AND WRITE LENGTH: those who lock with it (ESXi, clusters) ask for one block; newer libiscsi wants two refused. */
export const COMPARE_AND_WRITE_BLOCKS_MAXIMUM = 1
/** MAXIMUM ATOMIC TRANSFER LENGTH, in bytes: 256 blocks of 4 KiB; more only makes its undo log larger. */
export const ATOMIC_BYTES_MAXIMUM = 1024 * 1024
/** MAXIMUM UNMAP LBA COUNT: no limit. */
export const UNMAP_BLOCKS_MAXIMUM = 0xffff_ffff
export const UNMAP_DESCRIPTORS_MAXIMUM = 256
/** MAXIMUM WRITE SAME LENGTH: all that the (10) form can say. */
export const WRITE_SAME_BLOCKS_MAXIMUM = 0xffff
