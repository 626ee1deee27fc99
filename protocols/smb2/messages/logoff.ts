/** MS-SMB2 2.2.7 and 2.2.8: LOGOFF Request and Response. */

import { decodeEmptyBody, type EmptyBody, encodeEmptyBody } from './empty-body.ts'

export type LogoffRequest = EmptyBody
export type LogoffResponse = EmptyBody

export const decodeLogoffRequest = decodeEmptyBody
export const encodeLogoffRequest = encodeEmptyBody
export const decodeLogoffResponse = decodeEmptyBody
export const encodeLogoffResponse = encodeEmptyBody
