//! Edits a pod so that Mynah stands in front of the application.

use serde_json::{Value, json};

use crate::inject::{Options, Takeover};
use crate::probes::{self, Ports};
use crate::refusal::Refusal;
use crate::site::Site;
use crate::yaml::Path;
use crate::yaml::edit::{EditError, Editor};

/// The name of Mynah's container.
pub(crate) const CONTAINER: &str = "mynah";
const TAKEOVER_CONTAINER: &str = "mynah-takeover";
const VOLUME: &str = "mynah-config";
const CONFIG_FOLDER: &str = "/etc/mynah";
/// The name of the configuration file, which is its key in the ConfigMap.
pub(crate) const CONFIG_FILE: &str = "mynah.yaml";
/// The admin API and the dashboard, within the pod only.
pub(crate) const ADMIN_PORT: u16 = 9470;
/// Metrics and health checks, for the kubelet and Prometheus.
pub(crate) const METRICS_PORT: u16 = 9471;
/// Ports that Mynah needs beside that of the application.
const RESERVED: [u16; 2] = [ADMIN_PORT, METRICS_PORT];
/// The first port to try where Mynah needs one of its own.
const OWN_PORT: u16 = 9480;
/// A number that is not root's and nobody else's.
const USER: u32 = 65532;
/// Kubernetes' own default.
const GRACE: u64 = 30;
/// The longest name of a port.
const PORT_NAME: usize = 15;

/// How Mynah takes over in one pod.
#[derive(Debug, Clone)]
pub(crate) struct Arrangement {
    pub(crate) takeover: Takeover,
    pub(crate) ports: Ports,
    /// A native sidecar: an init container that keeps running and ends after the application.
    pub(crate) native: bool,
    /// Seconds that requests have to end after SIGTERM.
    pub(crate) drain: u64,
    /// Seconds for which a container that is no native sidecar stays up after its pod was told to end.
    linger: u64,
}

/// Decides how, or why not.
pub(crate) fn arrange(site: &Site<'_>, options: &Options) -> Result<Arrangement, Refusal> {
    let object = site.object;
    let takeover = match options.takeover {
        Some(takeover) => takeover,
        None if !options.app_env.is_empty() || !options.app_args.is_empty() => Takeover::Port,
        None if site.named.is_some() && site.headless.is_none() => Takeover::Named,
        None => {
            return Err(Refusal::new(
                object,
                format!(
                    "the Service sends to port {} by number, so the application must be told another port, or its traffic redirected",
                    site.port
                ),
                "say --takeover port with --app-env NAME={port} or --app-args …, or --takeover redirect",
            ));
        }
    };
    let used = used_ports(object.pod());
    let free = |from: u16| (from..=u16::MAX).find(|port| !used.contains(port) && !RESERVED.contains(port));
    let own = options.listen_port.or_else(|| free(OWN_PORT)).unwrap_or(OWN_PORT);
    let ports = match takeover {
        Takeover::Port => Ports {
            before: site.port,
            application: options
                .app_port
                .or_else(|| free(site.port.saturating_add(1)))
                .unwrap_or(OWN_PORT),
            mynah: site.port,
        },
        Takeover::Named | Takeover::Redirect => Ports {
            before: site.port,
            application: site.port,
            mynah: own,
        },
    };
    refuse(site, options, takeover, ports, &used)?;
    // Services find a name on a native sidecar since Kubernetes 1.33 only.
    let native = options.native.unwrap_or(takeover != Takeover::Named);
    let grace = object.pod()["terminationGracePeriodSeconds"].as_u64().unwrap_or(GRACE);
    let linger = if native { 0 } else { (grace / 3).min(5) };
    Ok(Arrangement {
        takeover,
        ports,
        native,
        drain: grace.saturating_sub(linger + 1).clamp(1, 25),
        linger,
    })
}

fn refuse(site: &Site<'_>, options: &Options, takeover: Takeover, ports: Ports, used: &[u16]) -> Result<(), Refusal> {
    let object = site.object;
    let pod = object.pod();
    let all = ["containers", "initContainers"];
    let mut containers = all.iter().flat_map(|list| pod[list].as_array().into_iter().flatten());
    let ours = |container: &&Value| container["name"] == CONTAINER || container["name"] == TAKEOVER_CONTAINER;
    if object.record().is_some() || containers.any(|container| ours(&container)) {
        return Err(Refusal::new(
            object,
            "Mynah is in it already",
            "eject it first; to change the ratio alone, use `mynah ratio` or change the ConfigMap",
        ));
    }
    let taken = |port: &&u16| used.contains(port) || ports.application == **port;
    if let Some(port) = RESERVED.iter().find(taken) {
        return Err(Refusal::new(
            object,
            format!("port {port} is taken, which Mynah needs for its admin address, metrics and health checks"),
            "give the application another port there",
        ));
    }
    let host_port = site
        .declared
        .and_then(|at| pod["containers"][site.container.0]["ports"][at]["hostPort"].as_u64());
    match takeover {
        Takeover::Port | Takeover::Named if host_port.is_some() => Err(Refusal::new(
            object,
            format!(
                "port {} is also a hostPort, which would still reach the application directly",
                site.port
            ),
            "use --takeover redirect",
        )),
        Takeover::Port | Takeover::Named if options.preserve_source => Err(Refusal::new(
            object,
            "--preserve-source needs the rules that --takeover redirect writes",
            "use --takeover redirect, or leave it out",
        )),
        Takeover::Port if options.app_env.is_empty() && options.app_args.is_empty() => Err(Refusal::new(
            object,
            "--takeover port needs the application to listen elsewhere",
            "say how it is told: --app-env NAME={port}, or --app-args …",
        )),
        Takeover::Port if ports.application == ports.before || used.contains(&ports.application) => Err(Refusal::new(
            object,
            format!("port {} is taken already", ports.application),
            "choose another with --app-port",
        )),
        Takeover::Named if site.named.is_none() => Err(Refusal::new(
            object,
            "--takeover named needs Services that send to the port by one name",
            "use --takeover port or redirect, or give the port a name in the Service's targetPort",
        )),
        Takeover::Named if site.headless.is_some() => Err(Refusal::new(
            object,
            format!(
                "service/{} is headless: clients connect to the pod's port directly, whatever it is called",
                site.headless.as_deref().unwrap_or_default()
            ),
            "use --takeover port or redirect",
        )),
        Takeover::Named | Takeover::Redirect if used.contains(&ports.mynah) || RESERVED.contains(&ports.mynah) => {
            Err(Refusal::new(
                object,
                format!("port {} is taken already", ports.mynah),
                "choose another with --listen-port",
            ))
        }
        Takeover::Named | Takeover::Redirect if !options.app_env.is_empty() || !options.app_args.is_empty() => {
            Err(Refusal::new(
                object,
                "--app-env and --app-args are for --takeover port; with the others the application is told nothing",
                "leave them out, or use --takeover port",
            ))
        }
        _ => Ok(()),
    }
}

fn used_ports(pod: &Value) -> Vec<u16> {
    let lists = ["containers", "initContainers"];
    let containers = lists.iter().flat_map(|list| pod[list].as_array().into_iter().flatten());
    containers
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["containerPort"].as_u64().and_then(|port| u16::try_from(port).ok()))
        .collect()
}

/// Edits the pod of the workload that the editor is at. Returns what to tell people.
pub(crate) fn put_in(
    editor: &mut Editor,
    site: &Site<'_>,
    arrangement: &Arrangement,
    options: &Options,
    config_map: &str,
) -> Result<Vec<String>, Refusal> {
    let object = &site.workload;
    let edit = |error: EditError| Refusal::edit(object, &error);
    let pod = Path::keys("spec/template/spec");
    let containers = pod.key("containers");
    let app = containers.index(site.container.0);
    let (moves, notes) = probes::moves(
        &object.to_string(),
        &site.object.pod()["containers"],
        &containers,
        arrangement.ports,
    )?;
    if arrangement.takeover != Takeover::Redirect {
        for step in moves {
            editor.set(&step.path, &json!(step.port)).map_err(edit)?;
        }
    }
    match arrangement.takeover {
        Takeover::Port => {
            if let Some(at) = site.declared {
                let path = app.key("ports").index(at).key("containerPort");
                editor.set(&path, &json!(arrangement.ports.application)).map_err(edit)?;
            }
            tell(editor, site, &app, arrangement.ports.application, options)?;
        }
        Takeover::Named => {
            let at = site.declared.unwrap_or_default();
            let ports = &site.object.pod()["containers"][site.container.0]["ports"];
            let name = other_name(ports, site.named.as_deref().unwrap_or_default());
            editor
                .set(&app.key("ports").index(at).key("name"), &json!(name))
                .map_err(edit)?;
        }
        Takeover::Redirect => editor
            .push(&pod.key("initContainers"), takeover_container(arrangement, options))
            .map_err(edit)?,
    }
    if arrangement.ports.mynah < 1024 {
        let sysctl = json!({"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"});
        let path = pod.key("securityContext").key("sysctls");
        match editor.push(&path, sysctl) {
            Ok(()) | Err(EditError::Present(_)) => {}
            Err(error) => return Err(edit(error)),
        }
    }
    let list = if arrangement.native {
        "initContainers"
    } else {
        "containers"
    };
    editor
        .push(&pod.key(list), container(site, arrangement, options))
        .map_err(edit)?;
    let volume = json!({"name": VOLUME, "configMap": {"name": config_map}});
    editor.push(&pod.key("volumes"), volume).map_err(edit)?;
    Ok(notes)
}

/// Tells the application its port.
fn tell(editor: &mut Editor, site: &Site<'_>, app: &Path, port: u16, options: &Options) -> Result<(), Refusal> {
    let edit = |error: EditError| Refusal::edit(&site.workload, &error);
    let fill = |text: &str| text.replace("{port}", &port.to_string());
    let container = &site.object.pod()["containers"][site.container.0];
    for (name, value) in &options.app_env {
        let value = json!(fill(value));
        let mut env = container["env"].as_array().into_iter().flatten();
        match env.find(|variable| variable["name"] == *name) {
            Some(variable) if variable["value"].is_string() => {
                editor
                    .set(&app.key("env").named(name).key("value"), &value)
                    .map_err(edit)?;
            }
            Some(_) => {
                return Err(Refusal::new(
                    &site.workload,
                    format!("the variable {name} gets its value from elsewhere (valueFrom)"),
                    "change it there, or use --app-args",
                ));
            }
            None => editor
                .push(&app.key("env"), json!({"name": name, "value": value}))
                .map_err(edit)?,
        }
    }
    if !options.app_args.is_empty() {
        let args: Vec<_> = options.app_args.iter().map(|arg| fill(arg)).collect();
        if container["args"].is_null() && container.get("args").is_none() {
            editor.insert(app, "args", json!(args)).map_err(edit)?;
        } else {
            editor.set(&app.key("args"), &json!(args)).map_err(edit)?;
        }
    }
    Ok(())
}

/// A name for the application's port once Mynah has taken its own.
fn other_name(ports: &Value, name: &str) -> String {
    let taken = |name: &str| ports.as_array().into_iter().flatten().any(|port| port["name"] == name);
    let cut = |prefix: &str| {
        let mut name = format!("{prefix}-{name}");
        name.truncate(PORT_NAME);
        name.trim_end_matches('-').to_owned()
    };
    let mut prefixes = std::iter::once("app".to_owned()).chain((2..).map(|n| format!("app{n}")));
    prefixes
        .find_map(|prefix| Some(cut(&prefix)).filter(|name| !taken(name)))
        .unwrap_or_default()
}

fn container(site: &Site<'_>, arrangement: &Arrangement, options: &Options) -> Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mut listen = json!({"containerPort": arrangement.ports.mynah});
    match arrangement.takeover {
        Takeover::Named => listen["name"] = json!(site.named),
        Takeover::Port | Takeover::Redirect => {}
    }
    let mut container = json!({
        "name": CONTAINER,
        "image": options.image,
        "args": ["run", "--config", format!("{CONFIG_FOLDER}/{CONFIG_FILE}")],
        "env": [field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"), field("NODE_NAME", "spec.nodeName")],
        "ports": [listen, {"name": "mynah-metrics", "containerPort": METRICS_PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": METRICS_PORT}, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": METRICS_PORT}, "periodSeconds": 10, "failureThreshold": 6},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": if options.preserve_source { net_admin() } else { restricted() },
        "volumeMounts": [{"name": VOLUME, "mountPath": CONFIG_FOLDER, "readOnly": true}],
    });
    if arrangement.native {
        container["restartPolicy"] = json!("Always");
        // The application starts once Mynah accepts clients.
        container["startupProbe"] =
            json!({"httpGet": {"path": "/readyz", "port": METRICS_PORT}, "periodSeconds": 1, "failureThreshold": 60});
    } else {
        // Clients still come while the endpoint is being taken away; a native sidecar outlives the application by itself.
        let wait = format!("{}s", arrangement.linger.max(1));
        container["lifecycle"] = json!({"preStop": {"exec": {"command": ["/mynah", "wait", wait]}}});
    }
    container
}

/// What PodSecurity `restricted` admits.
fn restricted() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": USER,
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// Writes the rules before anything else of ours runs.
fn takeover_container(arrangement: &Arrangement, options: &Options) -> Value {
    let port = arrangement.ports.before.to_string();
    let to = arrangement.ports.mynah.to_string();
    let mut args = vec!["takeover", "--port", &port, "--to", &to];
    if options.preserve_source {
        args.push("--preserve-source");
    }
    json!({
        "name": TAKEOVER_CONTAINER,
        "image": options.image,
        "args": args,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": net_admin(),
    })
}

/// A capability that a container adds is root's alone.
fn net_admin() -> Value {
    let mut context = restricted();
    context["runAsNonRoot"] = json!(false);
    context["runAsUser"] = json!(0);
    context["capabilities"]["add"] = json!(["NET_ADMIN"]);
    context
}

/// What differs for the workload beside: its name, its pods, and a label that only its pods have.
pub(crate) fn set_apart(editor: &mut Editor, name: &str, pods: u32) -> Result<(), EditError> {
    let metadata = Path::keys("metadata");
    let spec = Path::keys("spec");
    let replicas = spec.key("replicas");
    editor.set(&metadata.key("name"), &json!(name))?;
    match editor.get(&replicas) {
        Some(_) => editor.set(&replicas, &json!(pods))?,
        None => editor.insert(&spec, "replicas", json!(pods))?,
    }
    let label = crate::manifest::LABEL;
    for path in [
        "spec/selector/matchLabels",
        "spec/template/metadata/labels",
        "metadata/labels",
    ] {
        match editor.insert(&Path::keys(path), label, json!(name)) {
            // Through an anchor it may have come with the one before.
            Ok(()) | Err(EditError::Present(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // What others have noted about the first workload is not true of this one.
    let annotations = editor.get(&metadata.key("annotations"));
    for key in annotations
        .iter()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::keys)
    {
        let foreign = [
            "kubectl.kubernetes.io/",
            "deployment.kubernetes.io/",
            "meta.helm.sh/",
            "argocd.argoproj.io/",
            "kubernetes.io/",
        ];
        if foreign.iter().any(|prefix| key.starts_with(prefix)) {
            editor.remove(&metadata.key("annotations").key(key))?;
        }
    }
    Ok(())
}
