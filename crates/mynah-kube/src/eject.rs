//! `eject`: takes away what inject has put there, and nothing else.

use crate::added;
use crate::inject::{Record, VERSION};
use crate::manifest::{self, Object, Workload};
use crate::refusal::{Error, Refusal};
use crate::yaml::edit::{EditError, Editor};

/// The result of [`eject`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejected {
    /// The manifests without Mynah.
    pub text: String,
    /// Objects that inject had added and that are gone, as `kind/name`.
    pub removed: Vec<String>,
    /// Workloads whose edits were taken back, as `kind/name`.
    pub restored: Vec<String>,
}

/// Takes Mynah out of one workload, or out of all.
pub fn eject(text: &str, target: Option<&Workload>) -> Result<Ejected, Error> {
    let mut ejected = Ejected {
        text: text.to_owned(),
        removed: Vec::new(),
        restored: Vec::new(),
    };
    let target = target.map(ToString::to_string);
    // From the end, so that what stands before stays where it is; each step reads the text anew.
    loop {
        let objects = manifest::objects(&ejected.text)?;
        let mut found = None;
        for object in objects.iter().rev() {
            let Some(record) = record(object)? else { continue };
            if target.as_ref().is_none_or(|target| *target == record.workload) {
                found = Some((object, record));
                break;
            }
        }
        let Some((object, record)) = found else { break };
        let edit = |error: EditError| Error::from(Refusal::edit(object, &error));
        match record.undo {
            None => {
                ejected.text = added::take_away(&ejected.text, &object.place).map_err(edit)?;
                ejected.removed.push(object.to_string());
            }
            Some(undo) => {
                let mut editor = Editor::new(ejected.text, object.place.clone()).map_err(edit)?;
                for step in undo.iter().rev() {
                    editor.revert(step).map_err(edit)?;
                }
                ejected.text = editor.into_text();
                ejected.restored.push(object.to_string());
            }
        }
    }
    if ejected.removed.is_empty() && ejected.restored.is_empty() {
        return Err(Refusal::new(
            target.unwrap_or_else(|| "manifests".to_owned()),
            "Mynah was not injected here",
            "check the name; what was not put there by `mynah inject` is not taken away",
        )
        .into());
    }
    Ok(ejected)
}

fn record(object: &Object) -> Result<Option<Record>, Error> {
    let Some(text) = object.record() else {
        return Ok(None);
    };
    let record = serde_json::from_str::<Record>(text)
        .ok()
        .filter(|record| record.version == VERSION);
    record.map(Some).ok_or_else(|| {
        Refusal::new(
            object,
            "its record of what inject has done cannot be read",
            "use the version of Mynah that injected it",
        )
        .into()
    })
}
