//! Asks the service beside us for its readiness, for images without a shell.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Time limit for connecting, sending and receiving, each.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than the first line of an answer ever takes.
const MOST_BYTES: u64 = 256;

/// Requests `/readyz` of the service at an address and returns its status.
pub fn ask(address: SocketAddr) -> io::Result<u16> {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, MOST_BYTES)).read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{address} does not speak HTTP")))
}

/// Maps the unspecified address to loopback.
const fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            // all of it: who closes with something unread resets the connection
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            assert!(asked.starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn the_status_is_what_counts() {
        assert_eq!(ask(answering(b"HTTP/1.1 200 OK\r\n\r\n")).unwrap(), 200);
        assert_eq!(ask(answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap(), 503);
        assert!(ask(answering(b"SSH-2.0-OpenSSH\r\n")).is_err());
    }

    #[test]
    fn nobody_there_is_an_error() {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        assert_eq!(ask(gone).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
