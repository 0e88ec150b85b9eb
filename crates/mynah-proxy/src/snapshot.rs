//! The running configuration as one worker sees it: routes compiled, lanes open.

use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use mynah_config::model::{Connections, Credentials, Endpoint, HostPolicy, Route, Trace};
use mynah_core::{
    CopyRewrite, CredentialPolicy, HostEdit, MARKER, PathMatch, RequestView, RewriteSpec, RouteMatch, ShedReason,
    TRACE_LINK, TRACEPARENT, TRACESTATE,
};

use crate::access_log::{RequestIds, WorkerLog};
use crate::lane::Lane;
use crate::plan::{MirrorPlan, Plan, UpstreamPlan};

/// Everything that a request is decided by.
pub(crate) struct Snapshot {
    routes: Vec<RouteEntry>,
    /// For what no route matches.
    otherwise: RouteEntry,
    lanes: Vec<Rc<Lane>>,
    upstreams: Vec<Rc<UpstreamTarget>>,
    /// Lanes that earlier configurations had, as long as there is something under way on them.
    retired: Vec<Weak<Lane>>,
    pub(crate) limits: mynah_http1::Limits,
    pub(crate) head_timeout: Duration,
    pub(crate) pipelined: usize,
    pub(crate) streams: u32,
    /// Production's access log.
    pub(crate) access_log: Option<Rc<WorkerLog>>,
    pub(crate) request_ids: Option<RequestIds>,
}

/// A route, compiled.
pub(crate) struct RouteEntry {
    matches: Option<RouteMatch>,
    pub(crate) upstream: Rc<UpstreamTarget>,
    /// What the upstream's target is made of instead, if it changes.
    pub(crate) upstream_path: Option<PathEdit>,
    pub(crate) copies: Vec<CopyTo>,
    /// Its place among all; none for what no route matches.
    pub(crate) index: Option<usize>,
}

/// An upstream; one for each worker, so that routes are compared by address.
pub(crate) struct UpstreamTarget {
    pub(crate) plan: Arc<UpstreamPlan>,
}

impl UpstreamTarget {
    /// Whether it is spoken to in HTTP/2 for a client that speaks HTTP/2 or, if false, HTTP/1.
    pub(crate) fn speaks_http2(&self, client_http2: bool) -> bool {
        crate::connect::speaks_http2(self.plan.upstream.protocol, client_http2)
    }

    /// Whether client connections share its connections.
    pub(crate) fn is_shared(&self) -> bool {
        self.plan.upstream.connections == Connections::Shared
    }
}

/// The part of a path that a route's prefix matched, replaced.
#[derive(Debug, Clone)]
pub(crate) struct PathEdit {
    pub(crate) matched: usize,
    pub(crate) replacement: String,
}

/// Copies of a route's requests to one mirror.
pub(crate) struct CopyTo {
    pub(crate) lane: Rc<Lane>,
    pub(crate) rewrite: CopyRewrite,
}

impl Snapshot {
    /// Compiles a plan. What is the same as `before` is taken from there.
    pub(crate) fn compile(plan: &Plan, worker: usize, before: Option<&Self>) -> Self {
        let config = &plan.config;
        let former = || before.iter().flat_map(|before| before.all_lanes()).collect::<Vec<_>>();
        let lanes: Vec<_> = plan
            .mirrors
            .iter()
            .map(|m| {
                let same = before.and_then(|before| before.lanes.iter().find(|lane| Arc::ptr_eq(&lane.plan, m)));
                same.cloned().unwrap_or_else(|| {
                    let former = former();
                    let former = former.iter().find(|lane| lane.mirror().name == m.mirror.name);
                    Lane::new(m.clone(), worker, config.workers, former.map(|lane| &**lane))
                })
            })
            .collect();
        let upstreams: Vec<_> = plan
            .upstreams
            .iter()
            .map(|u| {
                let same = before.and_then(|b| b.upstreams.iter().find(|target| Arc::ptr_eq(&target.plan, u)));
                same.cloned()
                    .unwrap_or_else(|| Rc::new(UpstreamTarget { plan: u.clone() }))
            })
            .collect();
        let retired = former()
            .into_iter()
            .filter(|lane| !lanes.iter().any(|kept| Rc::ptr_eq(kept, lane)))
            .map(|lane| Rc::downgrade(&lane))
            .collect();
        let otherwise = RouteEntry {
            matches: None,
            upstream: upstreams[0].clone(),
            upstream_path: None,
            copies: Vec::new(),
            index: None,
        };
        let limits = &config.limits;
        Self {
            routes: config
                .routes
                .iter()
                .enumerate()
                .map(|(i, route)| RouteEntry::compile(i, route, &upstreams, &lanes))
                .collect(),
            otherwise,
            lanes,
            upstreams,
            retired,
            limits: mynah_http1::Limits {
                request_line: limits.request_line.bytes() as usize,
                head: limits.head.bytes() as usize,
                fields: limits.fields,
            },
            head_timeout: limits.head_timeout,
            pipelined: limits.pipelined,
            streams: limits.streams,
            access_log: plan.access_log.as_ref().map(WorkerLog::new),
            request_ids: config.request_id.as_ref().map(RequestIds::new),
        }
    }

    /// The first route that matches.
    pub(crate) fn route(&self, request: &impl RequestView) -> &RouteEntry {
        let matches = |route: &&RouteEntry| route.matches.as_ref().is_some_and(|m| m.matches(request));
        self.routes.iter().find(matches).unwrap_or(&self.otherwise)
    }

    /// Lets the lanes come to their end that the configuration has no use for any more.
    pub(crate) fn retire_lanes(&self) {
        self.retired
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|lane| lane.retire());
    }

    /// Whether an upstream is still one of the configuration.
    pub(crate) fn has_upstream(&self, target: &Rc<UpstreamTarget>) -> bool {
        self.upstreams.iter().any(|upstream| Rc::ptr_eq(upstream, target))
    }

    /// Every lane, with those that are on their way out.
    fn all_lanes(&self) -> impl Iterator<Item = Rc<Lane>> + '_ {
        let retired = self.retired.iter().filter_map(Weak::upgrade);
        self.lanes.iter().cloned().chain(retired)
    }

    /// Gives so many file descriptors of mirror connections to production, if there are so many: those of idle ones, and
    /// then those of copies under way, which are shed.
    pub(crate) fn free_descriptors(&self, count: usize) {
        let mut missing = count.saturating_sub(self.all_lanes().map(|lane| lane.leaving()).sum());
        for lane in self.all_lanes() {
            missing -= lane.take_away_idle(missing);
        }
        for lane in self.all_lanes() {
            missing -= lane.take_away_busy(missing);
        }
    }

    /// Sheds the copies under way to a mirror, or to all.
    pub(crate) fn shed(&self, mirror: Option<&str>, why: ShedReason) {
        self.all_lanes()
            .filter(|lane| mirror.is_none_or(|name| lane.mirror().name == name))
            .for_each(|lane| lane.shed(why));
    }

    /// Ends every lane; what is under way is counted as shed when its task is dropped.
    pub(crate) fn shut_lanes(&self) {
        self.all_lanes().for_each(|lane| lane.shut());
    }

    /// Waits until no copy is in flight.
    pub(crate) async fn copies_ended(&self) {
        for lane in self.all_lanes() {
            lane.copies_ended().await;
        }
    }
}

impl RouteEntry {
    fn compile(index: usize, route: &Route, upstreams: &[Rc<UpstreamTarget>], lanes: &[Rc<Lane>]) -> Self {
        // Without a path the route matches as the prefix `/` does.
        let matched = match route.matches.path {
            PathMatch::Any => 1,
            _ => route.matches.matched_prefix_len(),
        };
        let replacement = |url: &Endpoint| url.path.clone().or_else(|| route.replace_prefix.clone());
        let upstream = upstreams[route.upstream].clone();
        let upstream_path =
            replacement(&upstream.plan.upstream.url).map(|replacement| PathEdit { matched, replacement });
        let copies = route
            .mirrors
            .iter()
            .map(|&index| {
                let lane = lanes[index].clone();
                let rewrite = CopyRewrite::new(rewrite_spec(&lane.plan, matched, replacement(&lane.plan.mirror.url)));
                CopyTo { lane, rewrite }
            })
            .collect();
        Self {
            matches: Some(route.matches.clone()),
            upstream,
            upstream_path,
            copies,
            index: Some(index),
        }
    }
}

fn rewrite_spec(plan: &MirrorPlan, matched_prefix: usize, replace_with: Option<String>) -> RewriteSpec {
    let mirror = &plan.mirror;
    RewriteSpec {
        matched_prefix,
        replace_with,
        mask_query: mirror.mask_query.clone(),
        host: match &mirror.host {
            HostPolicy::Preserve => HostEdit::Preserve,
            HostPolicy::Target => HostEdit::Set(authority(&mirror.url)),
            HostPolicy::Literal(host) => HostEdit::Set(host.clone()),
        },
        set: mirror.headers.set.clone(),
        add: mirror.headers.add.clone(),
        remove: match mirror.trace {
            Trace::Keep => mirror.headers.remove.clone(),
            Trace::Drop | Trace::New => {
                let trace = [TRACEPARENT, TRACESTATE, TRACE_LINK].map(str::to_owned);
                mirror.headers.remove.iter().cloned().chain(trace).collect()
            }
        },
        credentials: match mirror.credentials {
            Credentials::Keep => CredentialPolicy::Keep,
            Credentials::Drop => CredentialPolicy::Drop,
            Credentials::Hash => CredentialPolicy::Hash,
        },
        marker: (MARKER, "1".to_owned()),
    }
}

/// Host and port of a URL, as a Host field has them.
fn authority(url: &Endpoint) -> String {
    let host = if url.host.contains(':') {
        format!("[{}]", url.host)
    } else {
        url.host.clone()
    };
    if url.port == if url.tls { 443 } else { 80 } {
        host
    } else {
        format!("{host}:{}", url.port)
    }
}
