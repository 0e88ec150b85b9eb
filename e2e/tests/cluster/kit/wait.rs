//! Waiting by condition.

use std::time::{Duration, Instant};

/// How long anything may take on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(200);

/// Asks again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(reason) if Instant::now() > end => panic!("gave up waiting until {what}: {reason}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
