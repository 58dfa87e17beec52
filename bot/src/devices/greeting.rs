//! Whether an ssh server speaks at a device's address: a look that costs the device next to nothing, while it restarts.
//!
//! Somebody on the way may take a connection for a device that is still down (a forwarded port does), and then says nothing: whoever
//! calls ssh there at once waits for its whole time limit, and notices a device late that has come up meanwhile.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ssh::DeviceAddress;

/// A server may say other things before its greeting (RFC 4253, 4.2); so much of that is taken.
const MOST: usize = 4 << 10;

/// Whether somebody greets at this address as ssh servers do, within this time.
pub(super) async fn greets(address: &DeviceAddress, limit: Duration) -> bool {
    let heard = async {
        let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await.ok()?;
        let mut said = Vec::with_capacity(256);
        while !is_greeting(&said) && said.len() < MOST {
            if stream.read_buf(&mut said).await.ok()? == 0 {
                return None;
            }
        }
        is_greeting(&said).then_some(())
    };
    matches!(timeout(limit, heard).await, Ok(Some(())))
}

/// Whether one of the lines is the greeting.
fn is_greeting(said: &[u8]) -> bool {
    said.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"SSH-"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rstest::rstest;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::devices::ssh::HostKey;

    fn at(place: SocketAddr) -> DeviceAddress {
        DeviceAddress {
            name: "lab-1".parse().unwrap(),
            host: place.ip().to_string(),
            port: place.port(),
            user: "root".to_owned(),
            identity: None,
            host_key: HostKey::Known("/nowhere".into()),
            config: None,
        }
    }

    #[rstest]
    #[case(&["SSH-2.0-dropbear_2022.83\r\n"], true)]
    #[case(&["Welcome to the lab\r\nSS", "H-2.0-OpenSSH_9.2p1\r\n"], true)]
    #[case(&["HTTP/1.1 400 Bad Request\r\nServer: SSH-\r\n"], false)]
    #[case(&[], false)]
    #[tokio::test]
    async fn only_ssh_servers_greet(#[case] words: &'static [&'static str], #[case] expected: bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for word in words {
                stream.write_all(word.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        assert_eq!(greets(&at(place), Duration::from_secs(20)).await, expected);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_or_never_ends_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        assert!(!greets(&at(place), Duration::from_millis(50)).await);
        let chatter = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
            }
        });
        assert!(!greets(&at(place), Duration::from_secs(20)).await);
        chatter.abort();
        let _ = chatter.await;
        assert!(!greets(&at(place), Duration::from_secs(20)).await, "nobody is there");
    }
}
