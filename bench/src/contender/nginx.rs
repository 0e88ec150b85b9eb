//! nginx: kept-alive connections on both sides, no access log, bodies streamed where it can.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Scene;

pub(super) fn configure(scene: &Scene<'_>, command: &mut Command) -> Result<()> {
    let config = if scene.http2 { http2(scene) } else { http1(scene) };
    let file = scene.directory.join("nginx.conf");
    fs::write(&file, config)?;
    let directory = fs::canonicalize(scene.directory)?;
    command.arg("-p").arg(&directory).arg("-c").arg(fs::canonicalize(file)?);
    Ok(())
}

fn http1(scene: &Scene<'_>) -> String {
    let (mirror_pool, mirror, mirror_location) = match scene.mirror {
        Some(address) => (
            pool("test", &address.to_string()),
            "mirror /mirror;".to_owned(),
            "location = /mirror { internal; proxy_pass http://test$request_uri; }".to_owned(),
        ),
        None => (String::new(), "proxy_request_buffering off;".to_owned(), String::new()),
    };
    around(&format!(
        "{}{mirror_pool}
         server {{
            listen {} reuseport backlog=4096;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $host;
            proxy_buffers 16 64k;
            proxy_max_temp_file_size 0;
            location / {{ {mirror} proxy_pass http://application; }}
            {mirror_location}
         }}",
        pool("application", &scene.application.to_string()),
        scene.listen,
    ))
}

fn http2(scene: &Scene<'_>) -> String {
    let (mirror_pool, mirror, mirror_location) = match scene.mirror {
        Some(address) => (
            pool("test", &address.to_string()),
            "mirror /mirror;",
            "location = /mirror { internal; grpc_pass grpc://test; }",
        ),
        None => (String::new(), "", ""),
    };
    around(&format!(
        "{}{mirror_pool}
         server {{
            listen {} http2 reuseport backlog=4096;
            http2_max_concurrent_streams 1000;
            location / {{ {mirror} grpc_pass grpc://application; }}
            {mirror_location}
         }}",
        pool("application", &scene.application.to_string()),
        scene.listen,
    ))
}

fn pool(name: &str, address: &str) -> String {
    format!("upstream {name} {{ server {address} max_fails=0; keepalive 512; keepalive_requests 1000000000; }}\n")
}

fn around(http: &str) -> String {
    format!(
        "daemon off;
         worker_processes 1;
         worker_rlimit_nofile 65536;
         pid nginx.pid;
         error_log stderr crit;
         events {{ worker_connections 32768; }}
         http {{
            access_log off;
            keepalive_requests 1000000000;
            client_max_body_size 0;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            {http}
         }}\n"
    )
}
