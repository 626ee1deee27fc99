/** SBC-3 6.5.3: what one command may ask for at most; the block limits page says so. */

/** MAXIMUM COMPARE AND WRITE LENGTH. */
export const COMPARE_AND_WRITE_BLOCKS_MAXIMUM = 128
/** MAXIMUM UNMAP LBA COUNT: no limit. */
export const UNMAP_BLOCKS_MAXIMUM = 0xffff_ffff
export const UNMAP_DESCRIPTORS_MAXIMUM = 256
/** Bytes of a parameter list that are looked at. */
export const PARAMETER_LIST_BYTES_MAXIMUM = 64 * 1024
