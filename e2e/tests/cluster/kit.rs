//! What the tests are told with: a namespace, charts, load, and the counts of applications.

pub(crate) mod application;
pub(crate) mod helm;
pub(crate) mod load;
pub(crate) mod namespace;
pub(crate) mod wait;

pub(crate) use self::application::TestEnvironment;
pub(crate) use self::helm::{Release, example, own};
pub(crate) use self::load::Load;
pub(crate) use self::namespace::Namespace;
pub(crate) use self::wait::eventually;

/// A variable that `e2e/run` sets.
pub(crate) fn told(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: these tests run on a cluster that e2e/run starts"))
}

/// Runs a test.
pub(crate) fn on_the_cluster(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}
