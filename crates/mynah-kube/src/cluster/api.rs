//! The calls to the API server that are needed, on objects as they are on the wire.

use std::path::Path;

use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use super::error::ClusterError;
use crate::manifest::Workload;

/// Whom the API server lists as the one that wrote a field.
const MANAGER: &str = "mynah";

/// A namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    /// Connects as `kubectl` would: by a kubeconfig, or from inside a pod by its service account.
    pub async fn connect(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let wrong = |error: &dyn std::fmt::Display| ClusterError::Kubeconfig(error.to_string());
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = match (kubeconfig, context) {
            (Some(path), _) => {
                let file = Kubeconfig::read_from(path).map_err(|error| wrong(&error))?;
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|error| wrong(&error))?
            }
            (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| wrong(&error))?,
            (None, None) => Config::infer().await.map_err(|error| wrong(&error))?,
        };
        let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
        let client = Client::try_from(config).map_err(|error| wrong(&error))?;
        Ok(Self { client, namespace })
    }

    /// A namespace behind a client that is there already.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
        }
    }

    /// The minor version of Kubernetes.
    pub(crate) async fn minor_version(&self) -> Result<u32, ClusterError> {
        let version = self.call("get", Method::GET, "/version", None).await?;
        let minor = version["minor"].as_str().unwrap_or_default();
        // Some providers write `29+`.
        let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse().unwrap_or(0))
    }

    /// A workload.
    pub(crate) async fn workload(&self, workload: &Workload) -> Result<Value, ClusterError> {
        let path = self.path("apps/v1", workload.kind.name(), Some(&workload.name));
        let object = self.call("get", Method::GET, &path, None).await?;
        Ok(with_kind(object, "apps/v1", workload.kind.name()))
    }

    /// Every Service of the namespace.
    pub(crate) async fn services(&self) -> Result<Vec<Value>, ClusterError> {
        let list = self
            .call("list", Method::GET, &self.path("v1", "Service", None), None)
            .await?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .into_iter()
            .map(|service| with_kind(service, "v1", "Service"))
            .collect())
    }

    /// The pods with these labels.
    pub(crate) async fn pods(&self, labels: &Value) -> Result<Vec<Value>, ClusterError> {
        let selector: Vec<_> = labels
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some(format!("{key}%3D{}", value.as_str()?)))
            .collect();
        let path = format!(
            "{}?labelSelector={}",
            self.path("v1", "Pod", None),
            selector.join("%2C")
        );
        let list = self.call("list", Method::GET, &path, None).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// What a pod serves on a port, through the API server.
    pub(crate) async fn ask_pod(&self, pod: &str, port: u16, path: &str) -> Result<String, ClusterError> {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:{port}/proxy{path}", self.namespace);
        let request = Request::get(&path).body(Vec::new());
        let request = request.expect("a path of ours is one of a URL");
        self.client
            .request_text(request)
            .await
            .map_err(|error| ClusterError::from_api("get", &path, &error))
    }

    /// The object of this kind and name, if it is there.
    pub(crate) async fn find(&self, object: &Value) -> Result<Option<Value>, ClusterError> {
        match self.call("get", Method::GET, &self.path_of(object), None).await {
            Ok(found) => Ok(Some(with_kind(
                found,
                text(&object["apiVersion"]),
                text(&object["kind"]),
            ))),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an object.
    pub(crate) async fn create(&self, object: &Value, dry_run: bool) -> Result<(), ClusterError> {
        let path = self.path(text(&object["apiVersion"]), text(&object["kind"]), None);
        let path = format!("{path}?fieldManager={MANAGER}{}", dry(dry_run));
        self.call("create", Method::POST, &path, Some(object)).await.map(drop)
    }

    /// Replaces an object, if it is still the one that was read.
    pub(crate) async fn replace(&self, object: &Value, dry_run: bool) -> Result<(), ClusterError> {
        let path = format!("{}?fieldManager={MANAGER}{}", self.path_of(object), dry(dry_run));
        self.call("update", Method::PUT, &path, Some(object)).await.map(drop)
    }

    /// Deletes an object; one that is gone already is no error.
    pub(crate) async fn delete(&self, object: &Value, dry_run: bool) -> Result<(), ClusterError> {
        let path = format!("{}?propagationPolicy=Background{}", self.path_of(object), dry(dry_run));
        match self.call("delete", Method::DELETE, &path, None).await {
            Err(ClusterError::NotFound { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    fn path_of(&self, object: &Value) -> String {
        let name = text(&object["metadata"]["name"]);
        self.path(text(&object["apiVersion"]), text(&object["kind"]), Some(name))
    }

    fn path(&self, version: &str, kind: &str, name: Option<&str>) -> String {
        let root = if version.contains('/') { "apis" } else { "api" };
        let plural = format!("{}s", kind.to_ascii_lowercase());
        let name = name.map(|name| format!("/{name}")).unwrap_or_default();
        format!("/{root}/{version}/namespaces/{}/{plural}{name}", self.namespace)
    }

    async fn call(
        &self,
        verb: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClusterError> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(bytes);
        let request = request.map_err(|error| ClusterError::Api {
            verb,
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let result = self.client.request(request).await;
        result.map_err(|error| ClusterError::from_api(verb, path, &error))
    }
}

fn dry(dry_run: bool) -> &'static str {
    if dry_run { "&dryRun=All" } else { "" }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Items of a list do not say what they are.
fn with_kind(mut object: Value, version: &str, kind: &str) -> Value {
    object["apiVersion"] = version.into();
    object["kind"] = kind.into();
    object
}
