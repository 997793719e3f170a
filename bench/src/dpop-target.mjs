// What the requests with proofs are sent to, by the name that clients call it.

/** Without TLS an API is called by a loopback name only. Whatever port a server listens on, `Host` says this one. */
export const ORIGIN = 'http://localhost'
export const TARGET = `${ORIGIN}/orders`
