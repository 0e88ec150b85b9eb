//! The programs that are compared: how each is configured and started, one worker, on a core of its own.

mod envoy;
mod nginx;
mod traefik;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::machine;
use crate::process::Process;
use crate::settings::Settings;
use crate::world::World;

/// A program under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Limit,
    Nginx,
    Envoy,
    Traefik,
    Mynah,
}

/// A program in one of its two roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    /// Whether every request is copied, or none.
    pub(crate) mirrored: bool,
}

/// What a configuration is made of.
struct Scene<'a> {
    listen: SocketAddr,
    application: SocketAddr,
    mirror: Option<SocketAddr>,
    http2: bool,
    directory: &'a Path,
}

impl Contender {
    pub(crate) const fn of(kind: Kind, mirrored: bool) -> Self {
        Self { kind, mirrored }
    }

    pub(crate) fn name(self) -> String {
        match (self.kind, self.mirrored) {
            (Kind::Limit, true) => "limit (bytes copied, no HTTP)".to_owned(),
            (Kind::Limit, false) => "limit, not mirroring".to_owned(),
            (kind, true) => format!("{}, mirroring", kind.name()),
            (kind, false) => format!("{}, not mirroring", kind.name()),
        }
    }

    /// Starts it in front of a world. None if it is not installed.
    pub(crate) fn start(self, world: &World, http2: bool, settings: &Settings) -> Result<Option<Running>> {
        let Some(program) = self.kind.program(settings) else {
            return Ok(None);
        };
        let directory = settings.cache.join("run");
        fs::create_dir_all(&directory)?;
        let scene = Scene {
            // Free a moment ago; nothing else on this machine asks for ports just now.
            listen: free_address()?,
            application: world.application()?,
            mirror: self.mirrored.then_some(world.mirror()),
            http2,
            directory: &directory,
        };
        let mut command = machine::on_contenders_core(&program);
        match self.kind {
            Kind::Limit => limit(&scene, &mut command),
            Kind::Mynah => mynah(&scene, &mut command),
            Kind::Nginx => nginx::configure(&scene, &mut command)?,
            Kind::Envoy => envoy::configure(&scene, &mut command)?,
            Kind::Traefik => traefik::configure(&scene, &mut command)?,
        }
        let log = directory.join("log");
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| program.clone())?;
        let mut running = Running {
            child,
            address: scene.listen,
        };
        running.ready(&log)?;
        Ok(Some(running))
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Limit, Self::Nginx, Self::Envoy, Self::Traefik, Self::Mynah];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
            Self::Traefik => "Traefik",
            Self::Mynah => "Mynah",
        }
    }

    fn program(self, settings: &Settings) -> Option<String> {
        let path = match self {
            Self::Limit => std::env::current_exe().ok()?,
            Self::Mynah => settings.mynah.clone(),
            Self::Nginx => PathBuf::from("/usr/sbin/nginx"),
            Self::Envoy => settings.cache.join("envoy"),
            Self::Traefik => settings.cache.join("traefik"),
        };
        path.exists().then(|| path.to_string_lossy().into_owned())
    }

    /// What it says about its version.
    pub(crate) fn version(self, settings: &Settings) -> Option<String> {
        let program = self.program(settings)?;
        let argument = match self {
            Self::Limit => return Some("in this repository".to_owned()),
            Self::Nginx => "-v",
            Self::Traefik => "version",
            Self::Envoy | Self::Mynah => "--version",
        };
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().find(|line| line.chars().any(|c| c.is_ascii_digit()))?;
        // Envoy puts its version between a commit and a way of building.
        let version = line
            .split('/')
            .find(|word| word.trim().starts_with(|c: char| c.is_ascii_digit()));
        let last = line.split_whitespace().last().unwrap_or(line);
        Some(match self {
            Self::Envoy | Self::Nginx => version.unwrap_or(last).trim().to_owned(),
            Self::Traefik => last.to_owned(),
            _ => line.trim_start_matches("mynah ").to_owned(),
        })
    }
}

fn limit(scene: &Scene<'_>, command: &mut Command) {
    command.args(["limit", &scene.listen.to_string(), &scene.application.to_string()]);
    command.args(scene.mirror.map(|mirror| mirror.to_string()));
}

fn mynah(scene: &Scene<'_>, command: &mut Command) {
    command.args([
        "run",
        "--workers",
        "1",
        "--admin",
        "127.0.0.1:0",
        "--log-level",
        "error",
    ]);
    command.args(["--listen", &scene.listen.to_string()]);
    command.args(["--upstream", &format!("http://{}", scene.application)]);
    if let Some(mirror) = scene.mirror {
        command.args(["--mirror", &format!("http://{mirror}"), "--ratio", "100%"]);
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A program that runs; ended when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    pub(crate) fn process(&self) -> Process {
        // taskset has become the program.
        Process(self.child.id())
    }

    fn ready(&mut self, log: &Path) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended at once ({status}):\n{}", fs::read_to_string(log)?);
            }
            if TcpStream::connect(self.address).is_ok() {
                // Traefik listens before it knows its routes.
                std::thread::sleep(Duration::from_millis(700));
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("does not listen:\n{}", fs::read_to_string(log)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers only when it is asked to.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for child in self.process().children() {
            if let Some(pid) = rustix::process::Pid::from_raw(child.0 as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
