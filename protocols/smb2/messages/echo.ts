/** MS-SMB2 2.2.28 and 2.2.29: ECHO Request and Response. */

import { decodeEmptyBody, type EmptyBody, encodeEmptyBody } from './empty-body.ts'

export type EchoRequest = EmptyBody
export type EchoResponse = EmptyBody

export const decodeEchoRequest = decodeEmptyBody
export const encodeEchoRequest = encodeEmptyBody
export const decodeEchoResponse = decodeEmptyBody
export const encodeEchoResponse = encodeEmptyBody
