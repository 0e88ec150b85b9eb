//! The listeners of one worker: opened, changed and closed as configurations come and go.

use std::convert::Infallible;
use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Worker;
use crate::bind::{ListenerId, Socket};
use crate::listener::{self, Entrance};
use crate::plan::Plan;

/// The listeners that accept.
#[derive(Default)]
pub(super) struct Entrances(Vec<Open>);

struct Open {
    id: ListenerId,
    entrance: Rc<Entrance>,
    accepting: JoinHandle<()>,
}

impl Entrances {
    /// Accepts by this plan, whose listeners have these ids, and on these sockets as well.
    pub(super) fn open(&mut self, worker: &Rc<Worker>, sockets: Vec<Socket>, plan: &Plan, ids: &[ListenerId]) {
        let plan_of = |id| {
            ids.iter()
                .position(|other| *other == id)
                .map(|i| plan.listeners[i].clone())
        };
        for open in &self.0 {
            if let Some(plan) = plan_of(open.id) {
                open.entrance.change(plan);
            }
        }
        for socket in sockets {
            let Some(plan) = plan_of(socket.id) else { continue };
            let entrance = Entrance::new(plan);
            let accepting = listener::accept(worker.clone(), socket.listener, entrance.clone());
            self.0.push(Open {
                id: socket.id,
                entrance,
                accepting: tokio::task::spawn_local(accepting),
            });
        }
    }

    /// Closes the listeners that are none of these. Their clients stay. `closed` is held until all are closed.
    pub(super) fn close_others(&mut self, ids: &[ListenerId], closed: &mpsc::Sender<Infallible>) {
        for open in self.0.extract_if(.., |open| !ids.contains(&open.id)) {
            let closed = closed.clone();
            open.entrance.stop();
            tokio::task::spawn_local(async move {
                let _ = open.accepting.await;
                drop(closed);
            });
        }
    }

    /// Closes every listener; each is closed when its task has ended.
    pub(super) fn close(self) -> Vec<JoinHandle<()>> {
        self.0
            .into_iter()
            .map(|open| {
                open.entrance.stop();
                open.accepting
            })
            .collect()
    }
}
