/** Where a server listens, and who may talk to it: addresses, tokens, certificates. */
export { defaultSocket, formatAddress, isLoopback, parseAddress, type ServerAddress } from "./address.ts";
export { type Certificate, type CertificateOptions, loadCertificate, makeCertificate } from "./certificate.ts";
export { defaultTokenFile, ensureToken, readToken, tokenCheck } from "./token.ts";
