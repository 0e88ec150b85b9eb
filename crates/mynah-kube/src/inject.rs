//! `inject`: puts Mynah in front of an application, in the text of its manifests.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::added::{self, Addition};
use crate::eject;
use crate::manifest::{self, ANNOTATION, Object, Workload};
use crate::pod::{self, ADMIN_PORT, Arrangement, CONFIG_FILE, METRICS_PORT};
use crate::refusal::{Error, Refusal};
use crate::share::{self, Amount, Decision};
use crate::site::{self, Site};
use crate::yaml::Path;
use crate::yaml::edit::{EditError, Editor, Undo};

/// How traffic meant for the application reaches Mynah first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// The application is told another port; Mynah takes the one that the Service sends to.
    Port,
    /// The name that the Service sends to moves to a port of Mynah's.
    Named,
    /// Rules in the pod redirect connections for the application's port to Mynah.
    Redirect,
}

/// Where Mynah goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Into pods of a second workload that the same Services select.
    Beside,
    /// Into the pods of the workload itself.
    InPlace,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Options {
    /// The workload; the only one in the text unless given.
    pub target: Option<Workload>,
    /// The namespace it is in, where the text has several.
    pub namespace: Option<String>,
    /// Where Mynah goes.
    pub mode: Mode,
    /// How it takes over; found by itself where that needs nothing else.
    pub takeover: Option<Takeover>,
    /// Name and URL of each mirror.
    pub mirrors: Vec<(String, String)>,
    /// Pods, ratio, share.
    pub amount: Amount,
    /// Which of several ports: number, or name of a Service's port.
    pub port: Option<String>,
    /// Which of several Services.
    pub service: Option<String>,
    /// Which container is the application, where no port tells.
    pub container: Option<String>,
    /// The application's port with `--takeover port`; the next free one unless given.
    pub app_port: Option<u16>,
    /// Mynah's port with the other takeovers.
    pub listen_port: Option<u16>,
    /// Environment variables that tell the application its port; `{port}` stands for it.
    pub app_env: Vec<(String, String)>,
    /// Arguments that replace the application's; `{port}` stands for its port.
    pub app_args: Vec<String>,
    /// With [`Takeover::Redirect`]: the application sees the client's address.
    pub preserve_source: bool,
    /// Mynah's image.
    pub image: String,
    /// Whether it is a native sidecar (Kubernetes 1.29); decided by itself unless given.
    pub native: Option<bool>,
}

/// The result of [`inject`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// The manifests with Mynah.
    pub text: String,
    /// The workload.
    pub workload: Workload,
    /// The workload whose pods have Mynah: the one beside, or the workload itself.
    pub mirroring: Workload,
    /// What was decided, for people.
    pub notes: Vec<String>,
}

/// The annotation's value: what takes the edits back, or nothing where the whole object was added.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) version: u32,
    /// The workload that the object was added or changed for.
    pub(crate) workload: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Vec<Undo>>,
}

/// The only version of [`Record`] so far.
pub(crate) const VERSION: u32 = 1;

/// Puts Mynah in front of an application. Bytes that need not change do not.
pub fn inject(text: &str, options: &Options) -> Result<Injected, Error> {
    let text_before = text;
    let objects = manifest::objects(text)?;
    let site = site::find(&objects, options)?;
    let object = site.object;
    let workload = site.workload.to_string();
    refuse_second(&objects, &site)?;
    let arrangement = pod::arrange(&site, options)?;
    let decision = match options.mode {
        Mode::InPlace => share::in_place(&options.amount, &workload)?,
        Mode::Beside => {
            let replicas = object.value["spec"]["replicas"].as_u64().unwrap_or(1);
            share::beside(&options.amount, site.workload.kind, replicas as u32, &workload)?
        }
    };
    let config_map = format!("{}-mynah", object.name());
    let config = config_map_of(&site, &config_map, &configuration(&arrangement, &decision, options)?);
    let edit = |error: EditError| Error::from(Refusal::edit(&workload, &error));
    let mut notes = explain(&site, &arrangement, &decision);
    let (text, mirroring) = match options.mode {
        Mode::InPlace => {
            let mut editor = Editor::new(text, object.place.clone()).map_err(edit)?;
            notes.extend(pod::put_in(&mut editor, &site, &arrangement, options, &config_map)?);
            let undo = std::mem::take(&mut editor.undo);
            annotate(&mut editor, &workload, Some(undo)).map_err(edit)?;
            let additions = [Addition::Written(config)];
            let text = added::put_before(editor.text(), &object.place, &additions).map_err(edit)?;
            (text, site.workload.clone())
        }
        Mode::Beside => {
            let name = format!("{}-mirror", object.name());
            let (copy, place) = added::copy(text, &object.place).map_err(edit)?;
            let mut editor = Editor::new(copy, place).map_err(edit)?;
            notes.extend(pod::put_in(&mut editor, &site, &arrangement, options, &config_map)?);
            pod::set_apart(&mut editor, &name, decision.pods).map_err(edit)?;
            annotate(&mut editor, &workload, None).map_err(edit)?;
            let additions = [Addition::Written(config), Addition::Copied(editor.into_text())];
            let text = added::put_before(text, &object.place, &additions).map_err(edit)?;
            let kind = site.workload.kind;
            (text, Workload { kind, name })
        }
    };
    prove(&workload, &objects, object, text_before, &text)?;
    Ok(Injected {
        text,
        workload: site.workload.clone(),
        mirroring,
        notes,
    })
}

/// Nothing is given out that says something else about other objects, or that eject would not take back.
fn prove(workload: &str, before: &[Object], edited: &Object, text: &str, injected: &str) -> Result<(), Error> {
    let after = manifest::objects(injected)?;
    let mut others = before.iter().filter(|object| object.place != edited.place);
    let others_kept = others.all(|object| after.iter().any(|kept| kept.value == object.value));
    let ejected = eject::eject(injected, edited.workload().as_ref());
    if others_kept && ejected.is_ok_and(|ejected| ejected.text == text) {
        return Ok(());
    }
    Err(Refusal::edit(workload, &EditError::Form(Path::keys("spec"))).into())
}

fn refuse_second(objects: &[Object], site: &Site<'_>) -> Result<(), Refusal> {
    let workload = site.workload.to_string();
    let of_this = |object: &&Object| {
        let record = object
            .record()
            .and_then(|record| serde_json::from_str::<Record>(record).ok());
        record.is_some_and(|record| record.workload == workload)
    };
    match objects.iter().find(of_this) {
        Some(object) => Err(Refusal::new(
            &workload,
            format!("it is injected already: {object} was made for it"),
            "eject it first; to change the ratio alone, use `mynah ratio` or change the ConfigMap",
        )),
        None => Ok(()),
    }
}

/// Notes on the object what was done. The annotation takes itself back as well.
fn annotate(editor: &mut Editor, workload: &str, undo: Option<Vec<Undo>>) -> Result<(), EditError> {
    let annotations = Path::keys("metadata/annotations");
    let record = |undo| {
        let record = Record {
            version: VERSION,
            workload: workload.to_owned(),
            undo,
        };
        json!(serde_json::to_string(&record).expect("a record is JSON"))
    };
    let Some(mut undo) = undo else {
        return editor.insert(&annotations, ANNOTATION, record(None));
    };
    let mut trial = editor.clone();
    trial.insert(&annotations, ANNOTATION, json!(""))?;
    undo.append(&mut trial.undo);
    editor.insert(&annotations, ANNOTATION, record(Some(undo)))
}

fn config_map_of(site: &Site<'_>, name: &str, configuration: &str) -> Value {
    let record = Record {
        version: VERSION,
        workload: site.workload.to_string(),
        undo: None,
    };
    let mut map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: serde_json::to_string(&record).expect("a record is JSON")},
        },
        "data": {CONFIG_FILE: configuration},
    });
    if let Some(namespace) = site.object.namespace() {
        map["metadata"]["namespace"] = json!(namespace);
    }
    map
}

/// The configuration file, as checked as if it stood on a disk.
fn configuration(arrangement: &Arrangement, decision: &Decision, options: &Options) -> Result<String, Refusal> {
    let mut text = String::from("# Written by `mynah inject`. A change applies without a restart.\n");
    let upstream = format!("http://127.0.0.1:{}", arrangement.ports.application);
    let upstream = if options.preserve_source {
        format!("\n  url: {upstream}\n  preserve_source: true")
    } else {
        format!(" {upstream}")
    };
    text.push_str(&format!(
        "listeners:\n- \":{}\"\nupstream:{upstream}\nmirrors:\n",
        arrangement.ports.mynah
    ));
    for (name, url) in &options.mirrors {
        text.push_str(&format!(
            "  {}:\n    url: {}\n    ratio: {}\n",
            quoted(name),
            quoted(url),
            decision.ratio
        ));
    }
    // The kubelet and Prometheus come from outside the pod, and nobody else does.
    text.push_str(&format!(
        "admin:\n  address: 127.0.0.1:{ADMIN_PORT}\n  metrics: 0.0.0.0:{METRICS_PORT}\ndrain_timeout: {}s\n",
        arrangement.drain
    ));
    match mynah_config::parse(&text, std::path::Path::new(CONFIG_FILE)) {
        Ok(_) => Ok(text),
        Err(errors) => Err(Refusal::new(
            "--mirror",
            errors.to_string().trim_end().to_owned(),
            "say where the test environment is, as in --mirror http://test.example.internal",
        )),
    }
}

fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c))
        && !text.ends_with(':');
    if plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

fn explain(site: &Site<'_>, arrangement: &Arrangement, decision: &Decision) -> Vec<String> {
    let ports = arrangement.ports;
    let from = match &site.services[..] {
        [] => "clients connect".to_owned(),
        [service] => format!("service/{service} sends"),
        several => format!("services {} send", several.join(", ")),
    };
    let how = match arrangement.takeover {
        Takeover::Port => format!(
            "takeover port: {from} to {}, which is Mynah's; container {} listens on {}",
            ports.mynah, site.container.1, ports.application
        ),
        Takeover::Named => format!(
            "takeover named: {from} to '{}', which is Mynah's port {}; container {} stays on {}",
            site.named.as_deref().unwrap_or_default(),
            ports.mynah,
            site.container.1,
            ports.application
        ),
        Takeover::Redirect => format!(
            "takeover redirect: {from} to {}, connections from outside the pod go to Mynah on {}; probes go that way too",
            ports.before, ports.mynah
        ),
    };
    vec![decision.how.clone(), how]
}
