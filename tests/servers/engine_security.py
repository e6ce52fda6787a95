"""Engines with TLS from a private CA and a superuser: their certificates and settings."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

BCRYPT_ROUNDS = 4  # of each password, in logarithmic form; with the usual 12, checking them was most of a server's work


def make_certificates(folder: pathlib.Path) -> pathlib.Path:
    """A private CA, a node certificate for localhost and an admin client certificate, as PEM; returns the CA's path."""
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")  # cheaper than RSA at each connection
    openssl(
        "req",
        "-x509",
        *new_key,
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "30",
        "-subj",
        "/O=local/CN=ca",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    for name in ("node", "admin"):
        usage = (
            "keyUsage=critical,digitalSignature,keyEncipherment\nbasicConstraints=CA:FALSE\n"
            "extendedKeyUsage=serverAuth,clientAuth\n"
        )
        (folder / "ext").write_text(usage + ("subjectAltName=DNS:localhost,IP:127.0.0.1\n" if name == "node" else ""))
        openssl(
            "req",
            *new_key,
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/O=local/CN={name}",
        )
        openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            "ext",
            "-out",
            f"{name}.crt",
        )
    return folder / "ca.crt"


def secure_elasticsearch(*, trial: bool) -> dict:
    """Superuser `elastic`; HTTPS. The trial licence adds document- and field-level security and OAuth tokens."""
    http = "xpack.security.http.ssl."
    return {
        "xpack.security.enabled": True,
        "xpack.security.autoconfiguration.enabled": False,
        "xpack.security.enrollment.enabled": False,
        "xpack.security.transport.ssl.enabled": False,
        f"{http}enabled": True,
        f"{http}key": "certs/node.key",
        f"{http}certificate": "certs/node.crt",
        f"{http}certificate_authorities": ["certs/ca.crt"],
        "xpack.license.self_generated.type": "trial" if trial else "basic",
        "xpack.security.authc.password_hashing.algorithm": f"bcrypt{BCRYPT_ROUNDS}",
    }


def secure_opensearch(home: pathlib.Path, run: pathlib.Path, password: str, java: str) -> dict:
    """User `admin` with all access; HTTPS and transport TLS; the security index is made at the first start."""
    plugin = home / "plugins/opensearch-security"
    shutil.copytree(
        plugin / "config",
        run / "config/opensearch-security",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("opensearch.yml.example"),
    )
    hashed = subprocess.run(
        [
            f"{java}/bin/java",
            "-cp",
            f"{plugin}/*:{home}/lib/*",
            "org.opensearch.security.tools.Hasher",
            "-a",
            "BCrypt",
            "-r",
            str(BCRYPT_ROUNDS),
            "-env",
            "SECRET",
        ],
        env={"SECRET": password, "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    bcrypt = re.search(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}", hashed)[0]
    (run / "config/opensearch-security/internal_users.yml").write_text(
        f'_meta:\n  type: "internalusers"\n  config_version: 2\nadmin:\n  hash: "{bcrypt}"\n  reserved: true\n  '
        'backend_roles: ["admin"]\n'
    )
    pem = {
        f"plugins.security.ssl.{layer}.{key}": f"certs/{file}"
        for layer in ("http", "transport")
        for key, file in (
            ("pemcert_filepath", "node.crt"),
            ("pemkey_filepath", "node.key"),
            ("pemtrustedcas_filepath", "ca.crt"),
        )
    }
    return pem | {
        "plugins.security.ssl.http.enabled": True,
        "plugins.security.ssl.transport.enforce_hostname_verification": False,
        "plugins.security.nodes_dn": ["CN=node,O=local"],
        "plugins.security.authcz.admin_dn": ["CN=admin,O=local"],
        "plugins.security.allow_default_init_securityindex": True,
        "plugins.security.restapi.roles_enabled": ["all_access"],
        "plugins.security.audit.type": "noop",
        "plugins.security.password.hashing.bcrypt.rounds": BCRYPT_ROUNDS,
    }
