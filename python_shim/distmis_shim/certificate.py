"""TLS between the shim and workers on other hosts: one certificate a shim, made when it is first needed, known to its
workers alone and on no disk."""

import datetime
import functools
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "distmis worker")])
# Clocks of nodes differ; a search may take months.
_BEFORE, _AFTER = datetime.timedelta(days=2), datetime.timedelta(days=3650)


@functools.cache
def own() -> bytes:
    """Key and certificate of this process's workers, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _AFTER)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def only(pem: bytes) -> ssl.SSLContext:
    """For a client that trusts the owner of this certificate and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate itself is known; the host may have any name.
    context.check_hostname = False
    context.load_verify_locations(
        cadata=x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.PEM).decode()
    )
    return context
