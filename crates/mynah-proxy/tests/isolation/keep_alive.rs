//! HTTP/1.1 on connections that are kept.

use mynah_testkit::client::client;
use mynah_testkit::ill::Behaviour;

use crate::behaviours::every_behaviour;
use crate::stage::{Load, ask, play};

const CLIENTS: u64 = 16;
const REQUESTS: u64 = 24;
const BODY: &[u8] = &[b'k'; 2048];

every_behaviour!(keep_alive);

fn keep_alive(behaviour: Behaviour) {
    let load = Load {
        requests: CLIENTS * REQUESTS,
        large: false,
    };
    play(behaviour, &load, async |stage| {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let address = stage.address;
            clients.push(tokio::spawn(async move {
                let mut client = client(address).await.unwrap();
                for _ in 0..REQUESTS {
                    ask(&mut client, BODY).await;
                }
            }));
        }
        for client in clients {
            client.await.unwrap();
        }
    });
}
