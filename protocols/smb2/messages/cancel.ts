/** MS-SMB2 2.2.30: CANCEL Request; nothing answers it. */

import { decodeEmptyBody, type EmptyBody, encodeEmptyBody } from './empty-body.ts'

export type CancelRequest = EmptyBody

export const decodeCancelRequest = decodeEmptyBody
export const encodeCancelRequest = encodeEmptyBody
