//! A large upload, by HTTP/1.1 and by HTTP/2.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use mynah_testkit::client::{Client, client, http2_client};
use mynah_testkit::ill::Behaviour;

use crate::stage::{Load, play};

const LOAD: Load = Load {
    requests: 1,
    large: true,
};

/// What is uploaded: bytes that say where they stand.
fn file(size: usize) -> Bytes {
    (0_u64..).flat_map(u64::to_le_bytes).take(size).collect()
}

async fn upload(client: &mut Client, file: Bytes) {
    let size = file.len();
    let request = Request::put("http://production/file").body(Full::new(file)).unwrap();
    let response = client.ask(request).await.expect("production answers");
    assert_eq!(response.status(), 200);
    // The application says how much it got.
    assert_eq!(response.body(), size.to_string().as_bytes());
}

mod http1 {
    use super::*;
    use crate::behaviours::every_behaviour;

    every_behaviour!(upload_64_mib);

    fn upload_64_mib(behaviour: Behaviour) {
        play(behaviour, &LOAD, async |stage| {
            let file = file(64 * 1024 * 1024);
            let mut client = client(stage.address).await.unwrap();
            upload(&mut client, file.clone()).await;
            stage.received(&file);
        });
    }
}

mod http2 {
    use super::*;
    use crate::behaviours::every_behaviour;

    every_behaviour!(upload_16_mib);

    fn upload_16_mib(behaviour: Behaviour) {
        play(behaviour, &LOAD, async |stage| {
            let file = file(16 * 1024 * 1024);
            let mut client = http2_client(stage.address).await.unwrap();
            upload(&mut client, file.clone()).await;
            stage.received(&file);
        });
    }
}
