/** MS-SMB2 2.2.11 and 2.2.12: TREE_DISCONNECT Request and Response. */

import { decodeEmptyBody, type EmptyBody, encodeEmptyBody } from './empty-body.ts'

export type TreeDisconnectRequest = EmptyBody
export type TreeDisconnectResponse = EmptyBody

export const decodeTreeDisconnectRequest = decodeEmptyBody
export const encodeTreeDisconnectRequest = encodeEmptyBody
export const decodeTreeDisconnectResponse = decodeEmptyBody
export const encodeTreeDisconnectResponse = encodeEmptyBody
