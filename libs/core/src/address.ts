/** `host:port`, with the brackets that an IPv6 address needs (RFC 3986, section 3.2.2). For URLs and gRPC alike. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
