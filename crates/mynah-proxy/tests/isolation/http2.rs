//! HTTP/2: many requests at once on a connection, on all three sides.

use mynah_testkit::client::http2_client;
use mynah_testkit::ill::Behaviour;

use crate::behaviours::every_behaviour;
use crate::stage::{Load, ask, play};

const CONNECTIONS: u64 = 3;
const STREAMS: u64 = 16;
const REQUESTS: u64 = 6;
const BODY: &[u8] = &[b'h'; 2048];

every_behaviour!(http2);

fn http2(behaviour: Behaviour) {
    let load = Load {
        requests: CONNECTIONS * STREAMS * REQUESTS,
        large: false,
    };
    play(behaviour, &load, async |stage| {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = http2_client(stage.address).await.unwrap();
            for _ in 0..STREAMS {
                let mut client = client.share().unwrap();
                streams.push(tokio::spawn(async move {
                    for _ in 0..REQUESTS {
                        ask(&mut client, BODY).await;
                    }
                }));
            }
        }
        for stream in streams {
            stream.await.unwrap();
        }
    });
}
