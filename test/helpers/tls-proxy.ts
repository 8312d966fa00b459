import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'

/** Of `localhost` and 127.0.0.1, signed by itself, good until 2126; for tests alone. */
export const TEST_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBpTCCAUugAwIBAgIUXXDpuYYrwGlCb6X3vxJPHjkiua8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOY2VudHJlLmV4YW1wbGUwIBcNMjYxMTIxMTE1MTE0WhgPMjEy
NjEwMjgxMTUxMTRaMBkxFzAVBgNVBAMMDmNlbnRyZS5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAErXc3+58ENh+xo+ZZswMeXbLqU6w9UOvAo302r9QM
5NZjmVGvuMVkmJzlYkpXvEQq72EB3KKNglW//omZVD7Ea6NvMG0wHQYDVR0OBBYE
FJUytSUJpNnxX6p8H9EhISEdyabsMB8GA1UdIwQYMBaAFJUytSUJpNnxX6p8H9Eh
ISEdyabsMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/
AAABMAoGCCqGSM49BAMCA0gAMEUCIQCTq8TAzUsyJEHyOvwGyYvGXjGR7zHAPsyG
X1u/wVBn5QIgZCzINV0CojUctooAecZorujl/5Juj+cbMflIagzUNxQ=
-----END CERTIFICATE-----
`
const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgclp1j10WLxkXPxi3
MIz84Y0E1bJr8l/dCwER2mFXEEOhRANCAAStdzf7nwQ2H7Gj5lmzAx5dsupTrD1Q
68CjfTav1Azk1mOZUa+4xWSYnOViSle8RCrvYQHcoo2CVb/+iZlUPsRr
-----END PRIVATE KEY-----
`

/** Speaks TLS for a server that does not, as proxies in front of ours do. */
export async function tlsProxy(url: string): Promise<AsyncDisposable & { readonly url: string }> {
  const { hostname, port } = new URL(url)
  const open = new Set<{ destroy(): void }>()
  const server = createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, (client) => {
    const upstream = connect({ host: hostname, port: Number(port) })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.once('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of [...open]) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
