/** Of the address of a fleet's broker, as a URL names them. */
export const BROKER_PROTOCOLS: readonly string[] = ['mqtt:', 'mqtts:', 'ws:', 'wss:'];
