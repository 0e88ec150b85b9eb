//! PEM files to certificates and keys, with errors that name the file.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, RootCertStore};

use super::{TlsError, read};

/// A certificate with its chain and its key.
pub(super) fn identity(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<SingleCertAndKey, TlsError> {
    let chain = certificates(certificate)?;
    let secret = private_key(key)?;
    let signer = provider
        .key_provider
        .load_private_key(secret)
        .map_err(|source| TlsError::Key {
            file: key.to_owned(),
            source,
        })?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) => Ok(SingleCertAndKey::from(Arc::new(certified))),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
        }),
        Err(source) => Err(TlsError::Certificate {
            file: certificate.to_owned(),
            number: 1,
            source,
        }),
    }
}

/// Authorities to trust, and the certificates that they were read from.
pub(super) fn authorities(file: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let certificates = certificates(file)?;
    let mut roots = RootCertStore::empty();
    for (i, certificate) in certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|source| TlsError::Certificate {
            file: file.to_owned(),
            number: i + 1,
            source,
        })?;
    }
    Ok((roots, certificates))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|source| TlsError::Pem {
        file: file.to_owned(),
        source,
    })?;
    if found.is_empty() {
        let hint = if contains(&text, b"PRIVATE KEY-----") {
            "; it holds a private key"
        } else {
            ""
        };
        return Err(TlsError::Missing {
            file: file.to_owned(),
            expected: "certificate",
            hint,
        });
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(file)?;
    let encrypted =
        contains(&text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(&text, b"Proc-Type: 4,ENCRYPTED");
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) if !encrypted => Ok(key),
        Ok(_) | Err(pem::Error::NoItemsFound) => {
            let hint = if encrypted {
                "; keys with a passphrase are not supported"
            } else if contains(&text, b"-----BEGIN CERTIFICATE-----") {
                "; it holds a certificate"
            } else {
                ""
            };
            Err(TlsError::Missing {
                file: file.to_owned(),
                expected: "private key",
                hint,
            })
        }
        // The header lines of an encrypted key are no base64.
        Err(_) if encrypted => Err(TlsError::Missing {
            file: file.to_owned(),
            expected: "private key",
            hint: "; keys with a passphrase are not supported",
        }),
        Err(source) => Err(TlsError::Pem {
            file: file.to_owned(),
            source,
        }),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
