//! Where Mynah belongs: the workload, the Services that select its pods, the port they send to, the container behind it.

use serde_json::Value;

use crate::inject::Options;
use crate::manifest::{Object, Workload};
use crate::refusal::Refusal;

/// Where Mynah belongs.
#[derive(Debug, Clone)]
pub(crate) struct Site<'o> {
    pub(crate) object: &'o Object,
    pub(crate) workload: Workload,
    /// The Services that send to the port.
    pub(crate) services: Vec<String>,
    /// The place of the application's container in `containers`, and its name.
    pub(crate) container: (usize, String),
    /// The port that the Services send to, which is the application's.
    pub(crate) port: u16,
    /// The place of that port in the container's `ports`.
    pub(crate) declared: Option<usize>,
    /// The name by which every one of the Services sends to it.
    pub(crate) named: Option<String>,
    /// A Service without an address of its own: clients take the port that it says, whatever its `targetPort`.
    pub(crate) headless: Option<String>,
}

/// A port of a Service.
struct Target<'o> {
    service: &'o Object,
    port: &'o Value,
    /// The name in `targetPort`.
    name: Option<String>,
    number: u16,
}

/// Finds it among the objects.
pub(crate) fn find<'o>(objects: &'o [Object], options: &Options) -> Result<Site<'o>, Refusal> {
    let (object, workload) = workload(objects, options)?;
    refuse_pod(object)?;
    let targets = choose(object, targets(objects, object, options)?, options)?;
    let (port, name) = match (targets.first(), &options.port) {
        (Some(target), _) => (target.number, target.name.clone()),
        (None, Some(port)) => (number_of(object, port)?, None),
        (None, None) => {
            return Err(Refusal::new(
                object,
                "no Service here selects its pods, so the port to take over is not known",
                "give the Service's manifest as well, or say --port",
            ));
        }
    };
    let (container, declared) = container(object, port, options)?;
    let same = targets.iter().all(|target| target.name == name);
    let headless = |target: &&Target<'_>| target.service.value["spec"]["clusterIP"] == "None";
    Ok(Site {
        object,
        workload,
        services: targets.iter().map(|target| target.service.name().to_owned()).collect(),
        container,
        port,
        declared,
        named: name.filter(|_| same),
        headless: targets
            .iter()
            .find(headless)
            .map(|target| target.service.name().to_owned()),
    })
}

fn workload<'o>(objects: &'o [Object], options: &Options) -> Result<(&'o Object, Workload), Refusal> {
    let in_namespace = |object: &Object| match (&options.namespace, object.namespace()) {
        (Some(wanted), Some(namespace)) => wanted == namespace,
        _ => true,
    };
    let ours = objects.iter().filter(|object| in_namespace(object));
    let all: Vec<_> = ours.filter_map(|object| Some((object, object.workload()?))).collect();
    if let Some(target) = &options.target {
        let found = all.into_iter().find(|(_, workload)| workload == target);
        return found.ok_or_else(|| Refusal::new(target, "it is not among the manifests", "check the name and -n"));
    }
    let services: Vec<_> = objects.iter().filter(|object| object.kind() == "Service").collect();
    let served = |object: &Object| services.iter().any(|service| selects(service, object));
    let mut candidates: Vec<_> = all.iter().filter(|(object, _)| object.record().is_none()).collect();
    if candidates.len() > 1 {
        candidates.retain(|(object, _)| served(object));
    }
    match candidates[..] {
        [(object, workload)] => Ok((object, workload.clone())),
        [] if all.iter().any(|(object, _)| object.record().is_some()) => Err(Refusal::new(
            &all[0].1,
            "it is injected already",
            "eject it first; to change the ratio alone, use `mynah ratio` or change the ConfigMap",
        )),
        [] if all.is_empty() => Err(Refusal::new(
            "manifests",
            "there is no Deployment, StatefulSet or DaemonSet in them",
            "Mynah goes into the pods of one of these",
        )),
        _ => {
            let names: Vec<_> = all.iter().map(|(_, workload)| workload.to_string()).collect();
            Err(Refusal::new(
                "manifests",
                format!("which workload is meant is not clear: {}", names.join(", ")),
                format!("name it, as in: mynah inject {} …", names[0]),
            ))
        }
    }
}

/// Whether a Service sends to the pods of a workload.
fn selects(service: &Object, workload: &Object) -> bool {
    let same_namespace = match (service.namespace(), workload.namespace()) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let selector = service.value["spec"]["selector"]
        .as_object()
        .filter(|selector| !selector.is_empty());
    same_namespace
        && service.value["spec"]["type"] != "ExternalName"
        && selector.is_some_and(|selector| selector.iter().all(|(key, value)| &workload.pod_labels()[key] == value))
}

/// Pods in which a proxy cannot stand between Service and application.
fn refuse_pod(object: &Object) -> Result<(), Refusal> {
    let pod = object.pod();
    if pod["containers"].as_array().is_none_or(Vec::is_empty) {
        return Err(Refusal::new(
            object,
            "its pods have no containers",
            "check spec.template.spec.containers",
        ));
    }
    if pod["hostNetwork"] == true {
        return Err(Refusal::new(
            object,
            "its pods use the network of their node (hostNetwork), where a second listener or a redirect would concern every pod",
            "take hostNetwork away, or put `mynah run` in front of it by hand",
        ));
    }
    if pod["os"]["name"] == "windows" || pod["nodeSelector"]["kubernetes.io/os"] == "windows" {
        return Err(Refusal::new(object, "its pods run on Windows", "Mynah runs on Linux"));
    }
    Ok(())
}

/// The ports of Services that send to this workload.
fn targets<'o>(objects: &'o [Object], object: &Object, options: &Options) -> Result<Vec<Target<'o>>, Refusal> {
    let mut found = Vec::new();
    for service in objects.iter().filter(|o| o.kind() == "Service" && selects(o, object)) {
        if options.service.as_ref().is_some_and(|wanted| wanted != service.name()) {
            continue;
        }
        for port in service.value["spec"]["ports"].as_array().into_iter().flatten() {
            if port["protocol"].as_str().is_some_and(|protocol| protocol != "TCP") {
                continue;
            }
            let target = match &port["targetPort"] {
                Value::Null => &port["port"],
                target => target,
            };
            let (name, number) = match target {
                Value::String(name) => (Some(name.clone()), port_named(object.pod(), name)),
                number => (None, number.as_u64().and_then(|number| u16::try_from(number).ok())),
            };
            let Some(number) = number else {
                return Err(Refusal::new(
                    service,
                    format!("its targetPort {target} is no port of {object}"),
                    "give that name to a port of one of the containers",
                ));
            };
            found.push(Target {
                service,
                port,
                name,
                number,
            });
        }
    }
    if let (Some(service), true) = (&options.service, found.is_empty()) {
        return Err(Refusal::new(
            object,
            format!("no Service '{service}' with a TCP port selects its pods"),
            "check the name, and that its selector matches the labels of the pods",
        ));
    }
    Ok(found)
}

/// Those of one port: the only one, or that of `--port`.
fn choose<'o>(object: &Object, mut targets: Vec<Target<'o>>, options: &Options) -> Result<Vec<Target<'o>>, Refusal> {
    let any = !targets.is_empty();
    if let Some(wanted) = &options.port {
        targets.retain(|target| {
            let is = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned) == *wanted;
            is(&target.port["name"])
                || is(&target.port["port"])
                || is(&target.port["targetPort"])
                || target.number.to_string() == *wanted
        });
        if any && targets.is_empty() && wanted.parse::<u16>().is_err() {
            return Err(Refusal::new(
                object,
                format!("no Service that selects its pods has a port '{wanted}'"),
                "say one of the Service's ports by name or number",
            ));
        }
    }
    if targets.iter().any(|target| target.number != targets[0].number) {
        let list: Vec<_> = targets
            .iter()
            .map(|target| format!("{} → {}", target.service, target.number))
            .collect();
        return Err(Refusal::new(
            object,
            format!("Services send to different ports of its pods: {}", list.join(", ")),
            format!(
                "choose one with --port, as in --port {}; requests to the others are not copied",
                targets[0].number
            ),
        ));
    }
    if let Some(target) = targets.iter().find(|target| speaks_tls(target.port)) {
        return Err(Refusal::new(
            object,
            format!(
                "{} says that the application itself speaks TLS on this port",
                target.service
            ),
            "Mynah needs the certificate to read requests: write its configuration by hand (listeners.tls, upstream https)",
        ));
    }
    Ok(targets)
}

fn speaks_tls(port: &Value) -> bool {
    port["appProtocol"]
        .as_str()
        .is_some_and(|protocol| matches!(protocol, "https" | "tls" | "kubernetes.io/wss"))
}

fn port_named(pod: &Value, name: &str) -> Option<u16> {
    let containers = pod["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let port = ports.find(|port| port["name"] == name && is_tcp(port))?;
    port["containerPort"]
        .as_u64()
        .and_then(|number| u16::try_from(number).ok())
}

pub(crate) fn is_tcp(port: &Value) -> bool {
    port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP")
}

fn number_of(object: &Object, port: &str) -> Result<u16, Refusal> {
    let number = port.parse().ok().filter(|number| *number != 0);
    number.or_else(|| port_named(object.pod(), port)).ok_or_else(|| {
        Refusal::new(
            object,
            format!("port '{port}' is not found: it is no number, and no container has a port of that name"),
            "say the number of the application's port",
        )
    })
}

/// The container that has the port, and the port's place in it.
fn container(object: &Object, port: u16, options: &Options) -> Result<((usize, String), Option<usize>), Refusal> {
    let containers = object.pod()["containers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let name = |container: &Value| container["name"].as_str().unwrap_or_default().to_owned();
    let declared = |container: &Value| {
        let ports = container["ports"].as_array()?;
        ports
            .iter()
            .position(|entry| entry["containerPort"] == port && is_tcp(entry))
    };
    let found = match &options.container {
        Some(wanted) => containers.iter().position(|container| name(container) == *wanted),
        None => containers.iter().position(|container| declared(container).is_some()),
    };
    match (found, containers) {
        (Some(index), _) => Ok(((index, name(&containers[index])), declared(&containers[index]))),
        (None, [only]) if options.container.is_none() => Ok(((0, name(only)), None)),
        _ => {
            let names: Vec<_> = containers.iter().map(name).collect();
            Err(Refusal::new(
                object,
                format!(
                    "which container listens on port {port} is not known: {}",
                    names.join(", ")
                ),
                "say --container",
            ))
        }
    }
}
