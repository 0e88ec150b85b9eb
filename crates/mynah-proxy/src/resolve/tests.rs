use std::collections::VecDeque;
use std::fs;

use tempfile::TempDir;

use super::dns_server::{DnsServer, Reply as Says};
use super::*;

const POD: &str = "nameserver 127.0.0.1\nsearch shop.svc.cluster.local svc.cluster.local\noptions ndots:5\n";
const INTERVAL: Duration = Duration::from_secs(30);

/// The two files, in a directory of their own.
struct Etc(TempDir);

impl Etc {
    fn new(resolv_conf: Option<&str>, hosts: &str) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        if let Some(text) = resolv_conf {
            dir.write("resolv.conf", text);
        }
        dir.write("hosts", hosts);
        dir
    }

    fn write(&self, file: &str, text: &str) {
        // A new file each time, as editors and kubelets do it: its inode tells it from the last one.
        let new = self.0.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.path().join(file)).unwrap();
    }

    fn names(&self, port: u16) -> SystemNames {
        SystemNames::new(self.0.path().join("resolv.conf"), self.0.path().join("hosts"), port)
    }
}

fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|a| a.parse().unwrap()).collect()
}

async fn sorted(names: &SystemNames, host: &str) -> Result<Vec<IpAddr>, LookupError> {
    let mut found = names.lookup(host).await?;
    found.sort_unstable();
    Ok(found)
}

#[tokio::test]
async fn a_short_name_is_searched_for_as_the_pod_is_configured() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let names = etc.names(dns.port);
    dns.set("mirror.test.svc.cluster.local", Says::addresses(&["192.0.2.1"]));
    dns.set("lb.example.com", Says::addresses(&["192.0.2.2"]));

    assert_eq!(names.lookup("mirror.test").await, Ok(ips(&["192.0.2.1"])));
    assert_eq!(
        dns.asked(),
        ["mirror.test.shop.svc.cluster.local", "mirror.test.svc.cluster.local"]
    );

    assert_eq!(names.lookup("lb.example.com").await, Ok(ips(&["192.0.2.2"])));
    assert_eq!(dns.asked().last().unwrap(), "lb.example.com");

    assert_eq!(names.lookup("lb.example.com.").await, Ok(ips(&["192.0.2.2"])));
    assert_eq!(dns.asked(), ["lb.example.com"]);

    assert_eq!(names.lookup("nobody").await, Err(LookupError::NotFound));
    assert_eq!(names.lookup("no..body").await, Err(LookupError::NotAName));
}

#[tokio::test]
async fn all_addresses_of_a_name_are_found() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let names = etc.names(dns.port);
    let four = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    dns.set("four.example.com", Says::addresses(&four));
    dns.set("six.example.com", Says::addresses(&["2001:db8::1", "2001:db8::2"]));
    assert_eq!(sorted(&names, "four.example.com").await, Ok(ips(&four)));
    assert_eq!(
        sorted(&names, "six.example.com").await,
        Ok(ips(&["2001:db8::1", "2001:db8::2"]))
    );
}

#[tokio::test]
async fn a_lookup_sees_what_has_changed_whatever_the_time_to_live() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let names = etc.names(dns.port);
    for address in ["192.0.2.1", "192.0.2.2"] {
        dns.set("mirror.example.com", Says::addresses(&[address]));
        assert_eq!(names.lookup("mirror.example.com").await, Ok(ips(&[address])));
    }
}

#[tokio::test]
async fn a_name_server_that_fails_is_told_from_a_name_that_does_not_exist() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let names = etc.names(dns.port);
    dns.set("mirror.shop.svc.cluster.local", Says::Fails);
    let Err(LookupError::Refused(code)) = names.lookup("mirror").await else {
        panic!("not refused")
    };
    assert_eq!(code, "Server Failure");
    dns.set("mirror.shop.svc.cluster.local", Says::addresses(&["192.0.2.1"]));
    assert_eq!(names.lookup("mirror").await, Ok(ips(&["192.0.2.1"])));
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_never_answers_is_given_up() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let names = etc.names(dns.port);
    dns.set("mirror.example.com", Says::Silence);
    assert_eq!(names.lookup("mirror.example.com.").await, Err(LookupError::Timeout));
}

#[tokio::test]
async fn hosts_come_before_name_servers_and_end_the_search() {
    let hosts = "127.0.0.1 localhost\n192.0.2.7 Cache cache.example.com # ours\n192.0.2.8 cache\n";
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), hosts));
    let names = etc.names(dns.port);
    dns.set("cache.shop.svc.cluster.local", Says::addresses(&["192.0.2.1"]));
    assert_eq!(sorted(&names, "cache").await, Ok(ips(&["192.0.2.7", "192.0.2.8"])));
    assert_eq!(names.lookup("CACHE.example.com").await, Ok(ips(&["192.0.2.7"])));
    assert_eq!(dns.asked(), [""; 0]);

    etc.write("hosts", "192.0.2.9 other\n");
    assert_eq!(names.lookup("other").await, Ok(ips(&["192.0.2.9"])));
    assert_eq!(names.lookup("cache").await, Ok(ips(&["192.0.2.1"])));
}

#[tokio::test]
async fn localhost_needs_neither_hosts_nor_name_servers() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let names = etc.names(dns.port);
    fs::remove_file(etc.0.path().join("hosts")).unwrap();
    let found = names.lookup("localhost").await.unwrap();
    assert!(found.contains(&IpAddr::from([127, 0, 0, 1])), "{found:?}");
    assert!(found.iter().all(IpAddr::is_loopback));
    assert_eq!(dns.asked(), [""; 0]);
}

#[tokio::test]
async fn resolv_conf_is_read_again_when_it_changes_and_kept_when_it_is_gone() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(None, ""));
    let names = etc.names(dns.port);
    dns.set("mirror", Says::addresses(&["192.0.2.1"]));
    dns.set("mirror.shop.svc.cluster.local", Says::addresses(&["192.0.2.2"]));
    assert_eq!(
        names.lookup("mirror").await,
        Ok(ips(&["192.0.2.1"])),
        "without a file this machine is asked"
    );

    etc.write("resolv.conf", POD);
    assert_eq!(names.lookup("mirror").await, Ok(ips(&["192.0.2.2"])));

    fs::remove_file(etc.0.path().join("resolv.conf")).unwrap();
    assert_eq!(
        names.lookup("mirror").await,
        Ok(ips(&["192.0.2.2"])),
        "the last good one is kept"
    );

    etc.write("resolv.conf", "search cluster.local\n");
    dns.set("mirror.cluster.local", Says::addresses(&["192.0.2.3"]));
    assert_eq!(
        names.lookup("mirror").await,
        Ok(ips(&["192.0.2.3"])),
        "a file need not name a server"
    );
}

#[tokio::test]
async fn targets_take_turns_over_all_addresses() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    dns.set(
        "mirror.example.com",
        Says::addresses(&["192.0.2.3", "192.0.2.1", "192.0.2.2", "192.0.2.1"]),
    );
    let target =
        Resolver::with_names(Handle::current(), etc.names(dns.port)).target("mirror.example.com.", 80, INTERVAL);
    target.settled().await;
    assert_eq!((target.len(), target.failures()), (3, 0));
    for start in [0, 1, 7, usize::MAX] {
        let mut cursor = start;
        let mut turns: Vec<_> = (0..6).map(|_| target.pick(&mut cursor).unwrap().to_string()).collect();
        assert_eq!(turns[..3], turns[3..]);
        turns.truncate(3);
        turns.sort();
        assert_eq!(turns, ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"], "from {start}");
    }
}

#[tokio::test]
async fn a_name_without_an_answer_has_no_address() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    let target = Resolver::with_names(Handle::current(), etc.names(dns.port)).target("nobody", 80, INTERVAL);
    assert_eq!(target.pick(&mut 0), None, "not asked yet");
    target.settled().await;
    assert_eq!(target.pick(&mut 5), None);
    assert!(target.is_empty());
    assert_eq!(target.failures(), 1);
}

#[tokio::test]
async fn an_address_is_never_looked_up() {
    let (dns, etc) = (
        DnsServer::start().await,
        Etc::new(Some(POD), "192.0.2.9 127.0.0.1 ::1\n"),
    );
    let resolver = Resolver::with_names(Handle::current(), etc.names(dns.port));
    for (host, expected) in [("127.0.0.1", "127.0.0.1:81"), ("::1", "[::1]:81")] {
        let target = resolver.target(host, 81, INTERVAL);
        target.settled().await;
        target.suspect();
        assert_eq!(target.pick(&mut 3).unwrap().to_string(), expected);
        assert_eq!((target.len(), target.failures()), (1, 0));
    }
    assert!(resolver.known.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_new_configuration_goes_on_with_the_addresses_of_the_old_one() {
    let (dns, etc) = (DnsServer::start().await, Etc::new(Some(POD), ""));
    dns.set("mirror.example.com", Says::addresses(&["192.0.2.1"]));
    let resolver = Resolver::with_names(Handle::current(), etc.names(dns.port));
    let old = resolver.target("mirror.example.com.", 80, INTERVAL);
    old.settled().await;
    let new = resolver.target("mirror.example.com.", 80, INTERVAL);
    assert!(new.pick(&mut 0).is_some());
    assert_eq!(
        resolver.target("mirror.example.com.", 81, INTERVAL).pick(&mut 0),
        None,
        "another port is another target"
    );
    drop((old, new));
    assert_eq!(
        resolver.target("mirror.example.com.", 80, INTERVAL).pick(&mut 0),
        None,
        "nobody held the addresses"
    );
}

type Reply = Result<Vec<IpAddr>, LookupError>;

/// Lookups that bring what a script says, its last line for ever, and the times at which they were made.
#[derive(Clone)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    times: Arc<Mutex<Vec<u64>>>,
    begun: Instant,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            times: Arc::default(),
            begun: Instant::now(),
        }
    }

    fn target(&self) -> Target {
        let script = self.clone();
        let key = Key {
            host: "mirror".to_owned(),
            port: 80,
            interval: INTERVAL,
        };
        Target(Inner::Named(Shared::spawn(&Handle::current(), &key, move |host| {
            assert_eq!(host, "mirror");
            script.times.lock().unwrap().push(script.begun.elapsed().as_secs());
            let mut replies = script.replies.lock().unwrap();
            let reply = if replies.len() > 1 {
                replies.pop_front()
            } else {
                replies.front().cloned()
            };
            std::future::ready(reply.unwrap())
        })))
    }

    /// Seconds from the beginning at which the name was looked up so far.
    fn times(&self) -> Vec<u64> {
        self.times.lock().unwrap().clone()
    }

    /// Waits until this many seconds after the beginning, and a moment.
    async fn at(&self, seconds: u64) {
        tokio::time::sleep_until(self.begun + Duration::from_secs(seconds) + Duration::from_millis(500)).await;
    }
}

fn picked(target: &Target) -> String {
    target.pick(&mut 0).unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_again_at_its_interval() {
    let script = Script::new([
        Ok(ips(&["192.0.2.1"])),
        Ok(ips(&["192.0.2.2"])),
        Ok(ips(&["192.0.2.3"])),
    ]);
    let target = script.target();
    for (at, address) in [
        (0, "192.0.2.1:80"),
        (29, "192.0.2.1:80"),
        (30, "192.0.2.2:80"),
        (60, "192.0.2.3:80"),
    ] {
        script.at(at).await;
        assert_eq!(picked(&target), address, "after {at} s");
    }
    script.at(100).await;
    assert_eq!(script.times(), [0, 30, 60, 90]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_is_tried_again_soon_and_then_less_often() {
    let script = Script::new([Err(LookupError::NotFound)]);
    let target = script.target();
    script.at(125).await;
    assert_eq!(script.times(), [0, 1, 3, 7, 15, 31, 61, 91, 121]);
    assert_eq!(target.failures(), 9);
    assert!(target.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_addresses_stay_while_a_name_does_not_resolve() {
    let good = Ok(ips(&["192.0.2.1"]));
    let script = Script::new([
        good.clone(),
        Err(LookupError::Timeout),
        Err(LookupError::NotFound),
        Ok(ips(&["192.0.2.2"])),
    ]);
    let target = script.target();
    script.at(0).await;
    script.at(30).await;
    assert_eq!((picked(&target), target.failures()), ("192.0.2.1:80".to_owned(), 1));
    script.at(31).await;
    assert_eq!((picked(&target), target.failures()), ("192.0.2.1:80".to_owned(), 2));
    script.at(33).await;
    assert_eq!((picked(&target), target.failures()), ("192.0.2.2:80".to_owned(), 2));
    script.at(70).await;
    assert_eq!(script.times(), [0, 30, 31, 33, 63]);
}

#[tokio::test(start_paused = true)]
async fn failed_connections_bring_the_next_lookup_forward_but_not_many() {
    let script = Script::new([
        Ok(ips(&["192.0.2.1"])),
        Ok(ips(&["192.0.2.2"])),
        Ok(ips(&["192.0.2.2"])),
    ]);
    let target = script.target();
    script.at(10).await;
    target.suspect();
    script.at(11).await;
    assert_eq!(
        (script.times(), picked(&target)),
        (vec![0, 10], "192.0.2.2:80".to_owned())
    );
    for second in 11..=100 {
        target.suspect();
        script.at(second).await;
    }
    assert_eq!(script.times(), [0, 10, 11, 13, 17, 25, 41, 71]);
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_for_a_name_that_nobody_wants() {
    let script = Script::new([Ok(ips(&["192.0.2.1"]))]);
    let target = script.target();
    let clone = target.clone();
    drop(target);
    script.at(40).await;
    assert_eq!(script.times(), [0, 30]);
    drop(clone);
    script.at(200).await;
    assert_eq!(script.times(), [0, 30]);
}
