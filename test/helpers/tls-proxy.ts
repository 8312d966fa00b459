import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { closed, createSocketPairs, listening } from './socket-pairs.ts'

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
export const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgclp1j10WLxkXPxi3
MIz84Y0E1bJr8l/dCwER2mFXEEOhRANCAAStdzf7nwQ2H7Gj5lmzAx5dsupTrD1Q
68CjfTav1Azk1mOZUa+4xWSYnOViSle8RCrvYQHcoo2CVb/+iZlUPsRr
-----END PRIVATE KEY-----
`

/** Speaks TLS for a server that does not, as proxies in front of ours do. */
export async function tlsProxy(url: string): Promise<AsyncDisposable & { readonly url: string }> {
  const pairs = createSocketPairs(url)
  const server = createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, pairs.join)
  server.on('tlsClientError', () => {})
  await listening(server)
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      pairs.cut()
      await closed(server)
    },
  }
}
