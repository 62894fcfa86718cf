//! Sends files of a site through Pingora.

use http::{Method, header};
use pingora::Result;
use pingora::proxy::Session;

use super::answers;
use super::context::Work;
use crate::serving::answer::Answer;
use crate::serving::filters::{PageKind, harden};
use crate::serving::static_files::Site;

/// Maximum bytes written at once, so that a large file does not fill buffers for a slow client.
const PIECE: usize = 64 * 1024;

pub(super) async fn answer(session: &mut Session, work: &Work, site: &Site) -> Result<()> {
    if site.is_empty() {
        return answers::write(session, work, Site::not_built()).await;
    }
    let head = session.req_header();
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let answer =
            Answer::error(405, "Files can only be read.", work.form).with("allow", "GET, HEAD");
        return answers::write(session, work, answer).await;
    }
    let Some(reply) = site.reply(&head.method, &work.record.about.path, &head.headers) else {
        return answers::write(
            session,
            work,
            Answer::error(404, "There is nothing here.", work.form),
        )
        .await;
    };
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = reply.status;
    head.headers.reserve(reply.headers.len() + 13);
    head.headers.extend(reply.headers);
    if reply.status != http::StatusCode::NOT_MODIFIED {
        head.headers.insert(header::CONTENT_LENGTH, reply.length.into());
    }
    harden(
        &mut head.headers,
        &work.record.about,
        work.record.snapshot.hsts.as_ref(),
        PageKind::Site { policies: &site.policies },
    );
    session.write_response_header(Box::new(head.into()), false).await?;
    let mut rest = reply.body;
    while rest.len() > PIECE {
        let piece = rest.split_to(PIECE);
        session.write_response_body(Some(piece), false).await?;
    }
    session.write_response_body(Some(rest), true).await
}
