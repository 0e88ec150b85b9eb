//! Every way to write a file is noticed.

use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const EVENTS: Pace = Pace {
    quiet: Duration::from_millis(20),
    poll: Duration::from_secs(3600),
};
const POLLS: Pace = Pace {
    quiet: Duration::from_millis(20),
    poll: Duration::from_millis(20),
};

/// A watch whose first call has come.
fn watched(file: &Path, pace: Pace) -> (Watch, Receiver<()>) {
    let (sender, calls) = channel();
    let watch = Watch::start(vec![file.to_owned()], pace, move || {
        let _ = sender.send(());
    })
    .unwrap();
    calls.recv_timeout(PATIENCE).expect("the first look is told of");
    (watch, calls)
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mynah.yaml");
    (folder, file)
}

/// As kubelet does: a new folder with the files, a link to it under another name, and that renamed over `..data`.
fn swap(volume: &Path, revision: &str, text: &str) {
    let old = fs::read_link(volume.join("..data")).ok();
    let data = volume.join(revision);
    fs::create_dir(&data).unwrap();
    fs::write(data.join("mynah.yaml"), text).unwrap();
    symlink(revision, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}

#[test]
fn a_config_map_whose_link_is_swapped_is_noticed_every_time() {
    let (volume, file) = folder();
    swap(volume.path(), "..1", "a");
    symlink("..data/mynah.yaml", &file).unwrap();
    let (_watch, calls) = watched(&file, EVENTS);
    for n in 2..6 {
        swap(volume.path(), &format!("..{n}"), &format!("text {n}"));
        calls.recv_timeout(PATIENCE).expect("the swap is noticed");
    }
}

#[test]
fn writing_in_place_and_renaming_over_are_noticed() {
    let (folder, file) = folder();
    fs::write(&file, "a").unwrap();
    let (_watch, calls) = watched(&file, EVENTS);
    fs::write(&file, "b").unwrap();
    calls.recv_timeout(PATIENCE).expect("a write is noticed");
    let other = folder.path().join("other");
    fs::write(&other, "c").unwrap();
    fs::rename(&other, &file).unwrap();
    calls.recv_timeout(PATIENCE).expect("a rename is noticed");
    fs::write(&file, "d").unwrap();
    calls
        .recv_timeout(PATIENCE)
        .expect("a write to the new file is noticed");
}

#[test]
fn a_file_that_comes_only_now_is_noticed() {
    let (_folder, file) = folder();
    let (_watch, calls) = watched(&file, EVENTS);
    fs::write(&file, "a").unwrap();
    calls.recv_timeout(PATIENCE).expect("it is noticed");
}

#[test]
fn what_does_not_change_the_contents_is_not_told() {
    let (folder, file) = folder();
    fs::write(&file, "a").unwrap();
    let (_watch, calls) = watched(&file, POLLS);
    fs::write(folder.path().join("other"), "b").unwrap();
    let other = folder.path().join("same");
    fs::write(&other, "a").unwrap();
    fs::rename(&other, &file).unwrap();
    assert_eq!(
        calls.recv_timeout(Duration::from_millis(300)),
        Err(RecvTimeoutError::Timeout)
    );
    fs::write(&file, "b").unwrap();
    calls.recv_timeout(PATIENCE).expect("what does change it is told");
}

#[test]
fn without_events_files_are_looked_at_all_the_same() {
    let (_folder, file) = folder();
    fs::write(&file, "a").unwrap();
    let mut look = Look {
        files: vec![file.clone()],
        again: false,
        watcher: None,
        folders: BTreeSet::new(),
        seen: None,
    };
    let (_sender, messages) = channel();
    let (told, calls) = channel();
    let changed = || told.send(()).unwrap();
    look.look(&changed);
    assert_eq!(look.wait(&messages, POLLS), Some(true));
    look.look(&changed);
    assert_eq!(calls.try_iter().count(), 1);
    fs::write(&file, "b").unwrap();
    look.look(&changed);
    assert_eq!(calls.try_iter().count(), 1);
}

#[test]
fn other_files_are_watched_once_they_are_named() {
    let (folder, file) = folder();
    let certificate = folder.path().join("deeper/tls.crt");
    fs::create_dir(certificate.parent().unwrap()).unwrap();
    fs::write(&certificate, "a").unwrap();
    let (watch, calls) = watched(&file, EVENTS);
    watch.set_files(vec![file, certificate.clone()], false);
    calls.recv_timeout(PATIENCE).expect("they are looked at");
    fs::write(&certificate, "b").unwrap();
    calls.recv_timeout(PATIENCE).expect("a write is noticed");
}

#[test]
fn looking_is_no_reason_to_look_again() {
    let (folder, file) = folder();
    fs::write(&file, "a").unwrap();
    let (watch, calls) = watched(&file, EVENTS);
    watch.set_files(vec![file], true);
    fs::write(folder.path().join("other"), "b").unwrap();
    calls.recv_timeout(PATIENCE).expect("something happened in the folder");
    assert_eq!(
        calls.recv_timeout(Duration::from_millis(300)),
        Err(RecvTimeoutError::Timeout)
    );
}
