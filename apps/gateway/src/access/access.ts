import { SegueError, type Tenant } from '@segue/core';
import type { Logger } from '@segue/service';
import type { GatewayConfig } from '../config.js';
import { Keyring } from './keyring.js';
import { followKeyring } from './keyring-file.js';

/** Says who is asking. */
export interface Access {
  /**
   * @param authorization value of the header `Authorization`.
   * @throws SegueError UNAUTHENTICATED
   */
  identify(authorization: string | undefined): Tenant;
  /** The tenant of this name, with the limits that it has now. */
  tenant(name: string): Tenant;
  close(): Promise<void>;
}

export type AccessConfig = Pick<
  GatewayConfig,
  'host' | 'apiKeysFile' | 'allowAnonymous' | 'allowPlaintext' | 'tlsCertFile'
>;

/**
 * Who must show a key: everybody where there are keys, nobody where this process listens on the loopback address alone. Nothing is
 * open to a network unless it is said to be.
 * @throws SegueError INVALID_ARGUMENT
 */
export async function openAccess(
  { host, apiKeysFile, allowAnonymous, allowPlaintext, tlsCertFile }: AccessConfig,
  logger: Logger,
): Promise<Access> {
  if (apiKeysFile === '') {
    if (!allowAnonymous && !isLoopback(host)) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `SEGUE_HOST is ${host}: whoever reaches it could use this service. Name a file of API keys with SEGUE_API_KEYS_FILE, ` +
          'listen on 127.0.0.1, or let everybody in with SEGUE_ALLOW_ANONYMOUS=true.',
      );
    }
    if (!isLoopback(host)) logger.warn('everybody who reaches this service may use it');
    const { public: everybody } = new Keyring();
    return { identify: () => everybody, tenant: (name) => ({ name, limits: {} }), close: async () => undefined };
  }
  if (!allowPlaintext && tlsCertFile === '' && !isLoopback(host)) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      `SEGUE_HOST is ${host}: API keys would be sent in the clear. Name a certificate with SEGUE_TLS_CERT_FILE and SEGUE_TLS_KEY_FILE, ` +
        'or set SEGUE_ALLOW_PLAINTEXT=true where TLS ends before this process.',
    );
  }
  const keyring = await followKeyring(apiKeysFile, logger);
  return {
    identify(authorization) {
      const { current } = keyring;
      if (authorization === undefined && allowAnonymous) return current.public;
      const key = BEARER.exec(authorization ?? '')?.[1];
      const holder = key === undefined ? undefined : current.holderOf(key);
      if (holder) return holder;
      throw new SegueError(
        'UNAUTHENTICATED',
        authorization === undefined
          ? 'Send your API key as "Authorization: Bearer KEY".'
          : 'This API key is not known, or not valid any more. Send "Authorization: Bearer KEY" with a key that is.',
      );
    },
    tenant: (name) => keyring.current.tenant(name),
    close: () => keyring.stop(),
  };
}

const BEARER = /^Bearer +([\w.~+/=-]{1,200})$/i;

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
