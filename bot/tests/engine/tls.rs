//! TLS by a directory of certificates: theirs is checked, ours is shown.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use windlass::images::engine::{Choice, Engine, Environment, Where};
use windlass::images::runtime;

use crate::fake::version;

fn openssl(dir: &Path, words: &[&str]) {
    let output = Command::new("openssl")
        .args(words)
        .current_dir(dir)
        .output()
        .expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A ca, and a certificate of it for this name under this file name.
fn certificates(dir: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let ca = [
        "req", "-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem",
    ];
    openssl(dir, &[ca.as_slice(), &key].concat());
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        let (request, made, secret) = (format!("{name}.csr"), format!("{name}.pem"), format!("{name}.key"));
        openssl(
            dir,
            &[
                ["req", "-subj", "/CN=x", "-out", &request, "-keyout", &secret].as_slice(),
                &key,
            ]
            .concat(),
        );
        let extensions = format!("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n");
        std::fs::write(dir.join("extensions"), extensions).expect("room");
        let sign = [
            "x509",
            "-req",
            "-days",
            "2",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-extfile",
            "extensions",
        ];
        openssl(dir, &[sign.as_slice(), &["-in", &request, "-out", &made]].concat());
    }
}

/// An engine on TCP with TLS that wants certificates of its clients.
fn serve(runtime: &tokio::runtime::Runtime, dir: &Path) -> u16 {
    let certificate = |name: &str| CertificateDer::from_pem_file(dir.join(name)).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate("ca.pem")).expect("a root");
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .expect("a verifier");
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate("server.pem")], key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await?;
                let body = version("1.41").to_string();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            });
        }
    });
    port
}

#[test]
fn both_sides_show_certificates() {
    let dir = tempfile::tempdir().expect("a directory");
    let theirs = dir.path();
    certificates(theirs);
    let runtime = runtime().expect("a runtime");
    let port = serve(&runtime, theirs);
    let find = |host: String, variables: Vec<(&'static str, String)>| {
        let environment = Environment::of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        });
        let place = Where {
            host: Some(host),
            ..Where::default()
        };
        runtime.block_on(Engine::find(Choice::Auto, &place, &environment))
    };
    let ours = theirs.join("ours");
    std::fs::create_dir(&ours).expect("room");
    for (from, to) in [
        ("ca.pem", "ca.pem"),
        ("client.pem", "cert.pem"),
        ("client.key", "key.pem"),
    ] {
        std::fs::copy(theirs.join(from), ours.join(to)).expect("room");
    }
    let named = ("DOCKER_CERT_PATH", ours.display().to_string());
    let wanted = ("DOCKER_TLS_VERIFY", "1".to_owned());
    let engine = find(format!("tcp://127.0.0.1:{port}"), vec![named.clone(), wanted.clone()]).expect("both are known");
    assert_eq!(engine.probed().address, format!("tcp://127.0.0.1:{port}"));
    assert!(find(format!("https://localhost:{port}"), vec![named.clone()]).is_ok());

    // Without TLS it does not answer as an engine does.
    assert!(find(format!("tcp://127.0.0.1:{port}"), vec![]).is_err());
    // We show nothing: refused.
    std::fs::remove_file(ours.join("cert.pem")).expect("it is there");
    std::fs::remove_file(ours.join("key.pem")).expect("it is there");
    assert!(find(format!("https://127.0.0.1:{port}"), vec![named.clone()]).is_err());
    // They show somebody else's.
    let other = theirs.join("other");
    std::fs::create_dir(&other).expect("room");
    certificates(&other);
    std::fs::copy(other.join("ca.pem"), ours.join("ca.pem")).expect("room");
    let none = find(format!("https://127.0.0.1:{port}"), vec![named.clone()]).expect_err("another ca");
    assert!(none.to_string().contains("certificate"), "{none}");
    // There are no files.
    std::fs::remove_file(ours.join("ca.pem")).expect("it is there");
    let none = find(format!("https://127.0.0.1:{port}"), vec![named]).expect_err("no ca");
    assert!(none.to_string().contains("ca.pem"), "{none}");
}
