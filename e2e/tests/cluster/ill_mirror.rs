//! A test environment that is hung, failing, refusing or gone, under load: production does not notice.

use crate::kit::application::{all_answer, metric};
use crate::kit::namespace::restarts;
use crate::kit::{Namespace, Release, TestEnvironment, eventually, on_the_cluster, own};
use crate::takeover::{NAMED, shop};

/// Requests for each illness, each on a connection of its own.
const REQUESTS: u64 = 400;

#[test]
fn whatever_the_test_environment_does_production_has_no_errors_and_every_copy_is_accounted_for() {
    on_the_cluster(async {
        let namespace = Namespace::new("ill").await;
        let test = TestEnvironment::start(&namespace).await;
        // A copy that gets no answer ends soon, so that the test does.
        let mirror = ["mynah.mirrors.ill.url=http://test", "mynah.mirrors.ill.timeout=2s"];
        Release::of(own("shop"), "shop", &namespace)
            .install(&[&NAMED[..], &mirror].concat())
            .await;
        let pods = namespace.ready("app=shop", 2).await;
        let load = shop(&namespace).await;
        all_answer(&load, &pods).await;

        load.send(REQUESTS).await.unharmed();
        test.behave("hung").await;
        load.send(REQUESTS).await.unharmed();
        test.behave("failing").await;
        load.send(REQUESTS).await.unharmed();
        let (tally, ()) = load.during(test.stop()).await;
        tally.unharmed();
        load.send(REQUESTS).await.unharmed();
        let (tally, ()) = load.during(test.delete()).await;
        tally.unharmed();
        load.send(REQUESTS).await.unharmed();

        eventually("every copy has ended", async || {
            match metric(&pods, "mynah_copies_in_flight", &[]).await {
                0.0 => Ok(()),
                copies => Err(format!("{copies} have not")),
            }
        })
        .await;
        let started = metric(&pods, "mynah_copies_started_total", &[]).await;
        let ended = metric(&pods, "mynah_copies_total", &[]).await;
        assert!(started >= 5.0 * REQUESTS as f64, "only {started} copies were made");
        assert_eq!(started, ended, "a copy has no outcome, or two");
        let delivered = metric(&pods, "mynah_copies_total", &["outcome=\"delivered\""]).await;
        assert!(delivered < ended, "every copy was delivered: the mirror was never ill");
        let now = namespace.ready("app=shop", 2).await;
        assert_eq!(
            now.iter().map(restarts).sum::<i32>(),
            0,
            "a container was started again"
        );
    });
}
