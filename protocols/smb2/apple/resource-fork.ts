/** AFP_Resource, the stream in which Macs keep a file's resource fork (MS-FSCC 2.1.5.3 knows nothing of it). */

const RESOURCE_FORK = 'afp_resource'

/**
 * Such a stream is never deleted by itself: Apple's servers pass that over, and clients that copy files count on it. It goes with its
 * file, or when its end is set to 0.
 */
export function isResourceFork(stream: string): boolean {
  return stream.toLowerCase() === RESOURCE_FORK
}
