/** Whether a host, as a URL names it, is this machine to itself: nobody else reaches it there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
