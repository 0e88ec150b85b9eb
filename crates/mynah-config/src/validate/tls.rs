//! Certificates, keys and what they go with.

use super::Check;
use crate::file;
use crate::model::{ClientTls, Endpoint, ListenerTls};
use crate::path::Path;

impl Check<'_> {
    pub(super) fn listener_tls(&mut self, tls: &file::ListenerTls, path: &Path) -> ListenerTls {
        if tls.alpn.is_empty() {
            self.wrong(&path.key("alpn"), "no protocol; expected h2, http/1.1 or both");
        }
        ListenerTls {
            certificate: self.file(&tls.certificate, &path.key("certificate")),
            key: self.file(&tls.key, &path.key("key")),
            alpn: tls.alpn.clone(),
            client_ca: tls.client_ca.as_ref().map(|ca| self.file(ca, &path.key("client_ca"))),
        }
    }

    /// TLS of an upstream or mirror at `path`, whose `tls` key this is.
    pub(super) fn client_tls(&mut self, tls: Option<&file::ClientTls>, url: &Endpoint, path: &Path) -> ClientTls {
        let Some(tls) = tls else {
            return ClientTls::default();
        };
        let path = path.key("tls");
        if !url.tls {
            self.wrong(&path, "the URL is http, without TLS; expected an https URL, or no tls");
        }
        match (&tls.certificate, &tls.key) {
            (Some(_), None) => self.wrong(&path, "certificate without key; expected both or neither"),
            (None, Some(_)) => self.wrong(&path, "key without certificate; expected both or neither"),
            _ => {}
        }
        if tls.insecure && tls.ca.is_some() {
            self.wrong(
                &path,
                "both ca and insecure; expected one: with insecure no authority is asked",
            );
        }
        let mut file = |key: &str, file: &Option<_>| {
            file.as_ref()
                .map(|file: &std::path::PathBuf| self.file(file, &path.key(key)))
        };
        ClientTls {
            ca: file("ca", &tls.ca),
            certificate: file("certificate", &tls.certificate),
            key: file("key", &tls.key),
            server_name: tls.server_name.clone(),
            insecure: tls.insecure,
        }
    }
}
