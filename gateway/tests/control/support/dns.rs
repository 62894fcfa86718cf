//! A DNS server that serves only CAA records, over UDP and TCP on one port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::CAA;
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::pebble::free_port;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    tasks: [AbortHandle; 2],
}

#[derive(Default)]
struct Zones {
    records: BTreeMap<String, Vec<CAA>>,
    /// UDP responses are truncated.
    truncated: bool,
    failing: bool,
}

impl NameServer {
    /// Starts a server that allows these issuers by owner name; an empty list allows no issuer.
    pub(crate) async fn start(zones: &[(&str, &[&str])]) -> Self {
        Self::serve(zones, false, false).await
    }

    /// Starts a server that truncates UDP responses.
    pub(crate) async fn truncating(zones: &[(&str, &[&str])]) -> Self {
        Self::serve(zones, true, false).await
    }

    /// Starts a server that fails every query.
    pub(crate) async fn failing() -> Self {
        Self::serve(&[], false, true).await
    }

    async fn serve(zones: &[(&str, &[&str])], truncated: bool, failing: bool) -> Self {
        let issue =
            |name: &&str| CAA::new_issue(false, Some(Name::from_ascii(name).unwrap()), Vec::new());
        let records = |(owner, issuers): &(&str, &[&str])| {
            (format!("{owner}."), issuers.iter().map(issue).collect())
        };
        let zones =
            Arc::new(Zones { records: zones.iter().map(records).collect(), truncated, failing });
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let socket = UdpSocket::bind(address).await.unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let (by_udp, by_tcp) = (Arc::clone(&zones), zones);
        let datagrams = tokio::spawn(async move {
            let mut buffer = [0; 1232];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let answer = by_udp.answer(&buffer[..length], by_udp.truncated);
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        let connections = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut question = vec![0; stream.read_u16().await.unwrap().into()];
                stream.read_exact(&mut question).await.unwrap();
                let answer = by_tcp.answer(&question, false);
                stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        Self { address, tasks: [datagrams.abort_handle(), connections.abort_handle()] }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Zones {
    fn answer(&self, question: &[u8], truncated: bool) -> Vec<u8> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries[0].clone();
        let found = self.records.get(&query.name.to_ascii().to_ascii_lowercase());
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.truncation = truncated;
        answer.metadata.response_code = match (self.failing, found) {
            (true, _) => ResponseCode::ServFail,
            (false, Some(_)) => ResponseCode::NoError,
            (false, None) => ResponseCode::NXDomain,
        };
        answer.add_query(query.clone());
        if !truncated {
            for record in found.into_iter().flatten() {
                answer.add_answer(Record::from_rdata(
                    query.name.clone(),
                    60,
                    RData::CAA(record.clone()),
                ));
            }
        }
        answer.to_vec().unwrap()
    }
}
