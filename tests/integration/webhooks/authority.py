"""A certificate authority of the tests' own, and servers' certificates signed by it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_ISSUER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An authority of tests")])
_SERVER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A server of tests")])


class Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self._pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def trusted(self) -> ssl.SSLContext:
        """For a client that trusts this authority and no other."""
        return ssl.create_default_context(cadata=self._pem.decode())

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """For a server with a certificate for host names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            key.public_key(), x509.BasicConstraints(ca=False, path_length=None), days=1 if expired else 99
        )
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder, "chain.pem")  # one file for both: the module loads from files only
            chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + _private(key))
            context.load_cert_chain(chain)
        return context


def _builder(
    public_key: ec.EllipticCurvePublicKey, constraints: x509.BasicConstraints, days: int = 99
) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=10)
    return (
        x509.CertificateBuilder()
        .subject_name(_ISSUER if constraints.ca else _SERVER)
        .issuer_name(_ISSUER)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(constraints, critical=True)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
