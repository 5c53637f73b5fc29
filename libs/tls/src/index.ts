export { followCertificates, tlsFilesOf, type Certificates } from './certificates.js';
export { grpcChannelCredentials, grpcServerCredentials } from './grpc-credentials.js';
