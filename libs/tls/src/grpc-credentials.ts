import { experimental, type ChannelCredentials, type ChannelOptions, type ServerCredentials } from '@grpc/grpc-js';
import type { Certificates } from './certificates.js';

type Provider = experimental.CertificateProvider;

/** Certificates as grpc-js hears of them. */
class FollowedProvider implements Provider {
  readonly #certificates: Certificates;
  readonly #ends = new Map<unknown, () => void>();

  constructor(certificates: Certificates) {
    this.#certificates = certificates;
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    const tell = ({ ca } = this.#certificates.current): void => listener(ca ? { caCertificate: ca } : null);
    this.#listen(listener, tell);
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#end(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    const tell = ({ cert, key } = this.#certificates.current): void => listener({ certificate: cert, privateKey: key });
    this.#listen(listener, tell);
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#end(listener);
  }

  #listen(listener: unknown, tell: () => void): void {
    this.#end(listener);
    this.#ends.set(
      listener,
      this.#certificates.onChange(() => tell()),
    );
    // Not before the caller has returned: grpc-js passes on only what it hears after that.
    process.nextTick(tell);
  }

  #end(listener: unknown): void {
    this.#ends.get(listener)?.();
    this.#ends.delete(listener);
  }
}

/** Credentials of a gRPC server: with a CA, clients must show a certificate of it. */
export function grpcServerCredentials(certificates: Certificates): ServerCredentials {
  const provider = new FollowedProvider(certificates);
  const asksClients = certificates.current.ca !== undefined;
  // The declaration names its first two parameters the wrong way round (grpc-js 1.14.7).
  return experimental.createCertificateProviderServerCredentials(
    provider,
    (asksClients ? provider : null) as Provider,
    asksClients,
  );
}

/** The name that a server's certificate must have, where that is not the one by which it is reached. */
export interface PeerName {
  readonly peerName?: string | undefined;
}

/** Credentials and options of a gRPC channel that shows its certificate and accepts those of its CA. */
export function grpcChannelCredentials(
  certificates: Certificates,
  { peerName }: PeerName = {},
): { readonly credentials: ChannelCredentials; readonly options: ChannelOptions } {
  const provider = new FollowedProvider(certificates);
  return {
    credentials: experimental.createCertificateProviderChannelCredentials(provider, provider),
    options: peerName === undefined ? {} : { 'grpc.ssl_target_name_override': peerName },
  };
}
