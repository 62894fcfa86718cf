//! CAA queries, which the system's resolver API does not support.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::CAA;
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Name servers, queried in order.
#[derive(Clone, Debug)]
pub(super) struct NameServers(Vec<SocketAddr>);

/// The address of a name server; the default port is 53.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameServer(SocketAddr);

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// No name server responded in time.
    #[error(
        "no name server responds ({0}): check /etc/resolv.conf, or set another one with --nameserver"
    )]
    Silence(String),
    /// The name servers return an error code. Authorities then refuse to issue (RFC 8659 section
    /// 3).
    #[error(
        "the name servers return `{0}`, so authorities refuse to issue: check the zone and its signatures"
    )]
    Failure(ResponseCode),
}

/// Timeout of one query.
const ANSWER: Duration = Duration::from_secs(2);
/// Maximum number of name servers that are queried, as in the system's resolver.
const SERVERS_MAX: usize = 3;
/// Largest UDP response that is not fragmented (RFC 9715).
const PAYLOAD: u16 = 1232;

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address =
            text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| text.parse());
        address
            .map(Self)
            .map_err(|_| "expected an address such as `192.0.2.53` or `127.0.0.1:5353`".to_owned())
    }
}

impl NameServers {
    /// The given name server, or those of the system.
    pub(super) fn new(chosen: Option<NameServer>) -> Self {
        let text = || std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        Self(chosen.map_or_else(|| of_resolv_conf(&text()), |NameServer(address)| vec![address]))
    }

    /// The CAA records of exactly this name, or of the target of its alias.
    pub(super) async fn caa(&self, name: &Name) -> Result<Vec<CAA>, LookupError> {
        let mut reason = String::from("none is configured");
        for server in &self.0 {
            let answer = match ask(*server, name).await {
                Ok(answer) => answer,
                Err(error) => {
                    reason = format!("{server}: {error}");
                    continue;
                }
            };
            return match answer.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => {
                    let data = answer.answers.into_iter().map(|record| record.data);
                    Ok(data
                        .filter_map(
                            |data| if let RData::CAA(caa) = data { Some(caa) } else { None },
                        )
                        .collect())
                }
                code => Err(LookupError::Failure(code)),
            };
        }
        Err(LookupError::Silence(reason))
    }
}

fn of_resolv_conf(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address =
            words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        Some(SocketAddr::new(address.parse().ok()?, 53))
    };
    let found: Vec<_> = text.lines().filter_map(server).take(SERVERS_MAX).collect();
    // resolv.conf(5): the default is the local machine.
    if found.is_empty() { vec![(Ipv4Addr::LOCALHOST, 53).into()] } else { found }
}

async fn ask(server: SocketAddr, name: &Name) -> io::Result<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), RecordType::CAA));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    question.set_edns(edns);
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let is_answer = |answer: &Message| {
        let asked = |query: &Query| query.name == *name && query.query_type() == RecordType::CAA;
        answer.metadata.id == question.metadata.id && answer.queries.first().is_some_and(asked)
    };
    let mut answer = by_udp(server, &bytes, is_answer).await;
    if answer.is_err() {
        // Retry once, because a datagram can be lost.
        answer = by_udp(server, &bytes, is_answer).await;
    }
    match answer {
        Ok(answer) if answer.metadata.truncation => {
            timeout(ANSWER, by_tcp(server, &bytes)).await?.and_then(|answer| {
                if is_answer(&answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
            })
        }
        answer => answer,
    }
}

async fn by_udp(
    server: SocketAddr,
    question: &[u8],
    is_answer: impl Fn(&Message) -> bool,
) -> io::Result<Message> {
    let any = if server.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = [0; PAYLOAD as usize];
    let receive = async {
        loop {
            let length = socket.recv(&mut buffer).await?;
            let bytes = buffer.get(..length).unwrap_or_default();
            // Anyone can send a datagram: skip those that do not match the query.
            if let Ok(answer) = Message::from_vec(bytes)
                && is_answer(&answer)
            {
                return Ok(answer);
            }
        }
    };
    timeout(ANSWER, receive).await?
}

/// Over TCP, a length of two bytes precedes the message (RFC 7766 section 8).
async fn by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_like_the_system_resolver_does() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1 \nnameserver nonsense\n";
        let expected: [SocketAddr; 2] =
            ["192.0.2.1:53", "[2001:db8::1]:53"].map(|text| text.parse().expect("a valid address"));
        assert_eq!(of_resolv_conf(text), expected);
        assert_eq!(of_resolv_conf(""), ["127.0.0.1:53".parse().expect("a valid address")]);
    }
}
