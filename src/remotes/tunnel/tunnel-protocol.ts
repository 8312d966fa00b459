/** How a cluster that cannot be reached lends its connections (docs/design/sync-protocol.md, Tunnels). */
export const TUNNEL_UPGRADE = 'entrepot-sync/1'
export const TUNNEL_PATH = '/sync/v1/tunnel'
/** Name of the edge at its centre, percent-encoded. */
export const EDGE_HEADER = 'x-entrepot-edge'

export const TUNNEL_ANSWER = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${TUNNEL_UPGRADE}\r\n\r\n`

/** A tunnel that waits is asked now and then whether it is still there. */
export const PING_PATH = '/sync/v1/ping'
export const PING_REQUEST = `GET ${PING_PATH} HTTP/1.1\r\nHost: edge\r\n\r\n`
/** What an answer to it begins with. */
export const PING_ANSWER = 'HTTP/1.1 204 '
/** Of that answer. */
export const MAX_PING_ANSWER_BYTES = 4096
