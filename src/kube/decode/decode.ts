// Kubernetes objects, as unknown JSON, -> our Service, EndpointSlice and Node. Nothing else lets them into a Snapshot.
export { decodeEndpointSlice } from './decode-endpoint-slice.ts'
export { decodeNode } from './decode-node.ts'
export type { Decoded } from './decode-schema.ts'
export { decodeService } from './decode-service.ts'
