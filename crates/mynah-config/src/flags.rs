//! What `mynah run` is told with flags, as if it stood in a file.

use mynah_core::Ratio;

use crate::error::{Errors, Origin};
use crate::model::AdminAddress;
use crate::node::Node;

/// The flags of `mynah run`: one listener, one upstream, mirrors with one ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct Flags {
    /// Address to accept clients on.
    pub listen: String,
    /// URL of the upstream.
    pub upstream: String,
    /// URLs of mirrors, each with or without a name: `staging=http://10.0.0.7`.
    pub mirrors: Vec<String>,
    /// Copies per request; 100 % unless given.
    pub ratio: Option<Ratio>,
    /// Number of workers.
    pub workers: Option<usize>,
    /// The admin address.
    pub admin: Option<AdminAddress>,
}

impl Flags {
    /// The same as a file would say it.
    pub(crate) fn into_tree(self) -> Result<Node, Errors> {
        let mut mirrors: Vec<(String, Node)> = Vec::new();
        for (i, flag) in self.mirrors.into_iter().enumerate() {
            let (name, url) = named_mirror(&flag, i);
            if mirrors.iter().any(|(other, _)| *other == name) {
                let message =
                    format!("--mirror: two mirrors are called '{name}'; expected a name of its own, as in NAME=URL");
                return Err(Origin::Flags.error(None, message).into());
            }
            let mut mirror = vec![("url", Node::scalar(url))];
            if let Some(ratio) = self.ratio {
                mirror.push(("ratio", Node::scalar(ratio.to_string())));
            }
            mirrors.push((name, Node::map(mirror)));
        }
        let mut tree = vec![
            ("listeners", Node::list([Node::scalar(self.listen)])),
            ("upstream", Node::scalar(self.upstream)),
            ("mirrors", Node::map(mirrors)),
        ];
        if let Some(workers) = self.workers {
            tree.push(("workers", Node::scalar(workers.to_string())));
        }
        if let Some(admin) = self.admin {
            tree.push(("admin", Node::scalar(admin.to_string())));
        }
        Ok(Node::map(tree))
    }
}

/// The name and URL of a mirror given as `[NAME=]URL`, the `index`th of its kind. `mirror`, `mirror-2` … when none is given.
pub fn named_mirror(flag: &str, index: usize) -> (String, String) {
    match flag.split_once('=') {
        // Not the `=` in a URL's path.
        Some((name, url)) if !name.contains("://") => (name.to_owned(), url.to_owned()),
        _ if index == 0 => ("mirror".to_owned(), flag.to_owned()),
        _ => (format!("mirror-{}", index + 1), flag.to_owned()),
    }
}
