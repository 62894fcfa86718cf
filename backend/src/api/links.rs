//! Links: relay messages between a new device and a device of an account, and give the new device a
//! cookie of the account once that has approved it. The server does not read the messages.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use backend_protocol::api::Me;
use backend_protocol::limits::{MAX_LINK_BYTES, MAX_LINK_MESSAGE, MAX_LINK_MESSAGES};
use backend_protocol::linking::{DeviceApproval, Link, RelayMessage, RelayedMessages};
use backend_protocol::problem::{Problem, ProblemType};
use backend_store::links::{Approval, LinkClaim, LinkCode, NewApproval, Posting};
use serde::Deserialize;

use super::{identity, key_change};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Body, PathId, UrlQuery};
use crate::identity::{
    ClientNetwork, Counted, Credential, LinkParty, LinkToken, NewDevice, Visitor,
};

/// Random codes to try. All fail only when a large part of the 10^8 codes is in use.
const ATTEMPTS: usize = 8;
/// Seconds after which a code is free again, when none was found.
const RETRY_SECONDS: u32 = 60;

/// Open a link for a new device
#[utoipa::path(
    post, path = "/api/links", tag = "linking",
    responses(
        (status = 201, body = Link),
        (status = 429, description = "Too many links from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn open(
    State(app): State<App>,
    network: ClientNetwork,
) -> Result<(StatusCode, Json<Link>), ApiError> {
    network.spend(&app, Counted::Link).await?;
    let token = LinkToken::random();
    for _ in 0..ATTEMPTS {
        let code = LinkCode::random();
        if app.store.open_link(&code, &token.hash()).await? {
            let expires_in = u32::try_from(app.link_ttl.as_secs()).unwrap_or(u32::MAX);
            let code = code.as_str().to_owned();
            let link = Link { code, token: token.into_text(), expires_in };
            return Ok((StatusCode::CREATED, Json(link)));
        }
    }
    let detail = "Too many links are open on this server. Try again later.";
    Err(ApiError::new(ProblemType::RateLimited, detail).retry_after(RETRY_SECONDS))
}

/// Send a message to the other device of a link
///
/// The first account that sends one is bound to the link.
#[utoipa::path(
    post, path = "/api/links/{code}/messages", tag = "linking", request_body = RelayMessage,
    params(("code" = String, Path, description = "The link's code"), ("authorization" = Option<String>, Header, description = "`Bearer` and the link's token, for the new device")),
    responses(
        (status = 204, description = "Sent"),
        (status = 404, description = "Unknown, expired, or another account's link", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The link has too many messages or bytes", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many codes from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(app): State<App>,
    client: LinkParty,
    PathId(code): PathId<LinkCode>,
    Body(RelayMessage { body }): Body<RelayMessage>,
) -> Result<StatusCode, ApiError> {
    if body.len() > MAX_LINK_MESSAGE {
        let detail = format!(
            "A message of a link has at most {MAX_LINK_MESSAGE} bytes, found {}.",
            body.len()
        );
        return Err(ApiError::new(ProblemType::TooLarge, detail));
    }
    client.count(&app, &code).await?;
    match app.store.post_to_link(&code, client.party(), &body).await? {
        Posting::Posted => Ok(StatusCode::NO_CONTENT),
        Posting::NotFound => Err(no_such_link()),
        Posting::Full => {
            let detail = format!(
                "A link has at most {MAX_LINK_MESSAGES} messages with {MAX_LINK_BYTES} bytes in all."
            );
            Err(ApiError::new(ProblemType::LimitReached, detail))
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Read {
    #[serde(default)]
    after: u32,
}

/// Read the messages of a link
#[utoipa::path(
    get, path = "/api/links/{code}/messages", tag = "linking",
    params(
        ("code" = String, Path, description = "The link's code"),
        ("after" = Option<u32>, Query, description = "The number of the last message received"),
        ("authorization" = Option<String>, Header, description = "`Bearer` and the link's token, for the new device"),
    ),
    responses(
        (status = 200, body = RelayedMessages),
        (status = 404, description = "Unknown, expired, or another account's link", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many codes from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn messages(
    State(app): State<App>,
    client: LinkParty,
    PathId(code): PathId<LinkCode>,
    UrlQuery(Read { after }): UrlQuery<Read>,
) -> Result<Json<RelayedMessages>, ApiError> {
    client.count(&app, &code).await?;
    let messages = app.store.link_messages(&code, client.party(), after).await?;
    messages.map(Json).ok_or_else(no_such_link)
}

/// Approve the new device of a link
///
/// Appends the approval to the account's device log. Idempotent with the same device and entry.
#[utoipa::path(
    post, path = "/api/links/{code}/approval", tag = "linking", request_body = DeviceApproval,
    params(("code" = String, Path, description = "The link's code")),
    responses(
        (status = 204, description = "Approved"),
        (status = 404, description = "Unknown, expired, or another account's link", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another version comes next in the log, the account is not bound to the link, or a limit is reached", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The device was removed and cannot be linked again", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many codes from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn approve(
    State(app): State<App>,
    visitor: Visitor,
    network: ClientNetwork,
    PathId(code): PathId<LinkCode>,
    Body(DeviceApproval { device, version, entry }): Body<DeviceApproval>,
) -> Result<StatusCode, ApiError> {
    identity::check(&entry)?;
    let account = visitor.account.id.clone();
    LinkParty::old(account.clone(), network).count(&app, &code).await?;
    let approval = NewApproval { account: account.clone(), device, version, entry };
    match app.store.approve_link(&code, &approval).await? {
        Approval::Approved => {}
        Approval::NotFound => return Err(no_such_link()),
        Approval::Unbound => {
            let detail = "This account has sent no message over the link: send the offer first.";
            return Err(ApiError::conflict(detail));
        }
        Approval::OtherDevice => {
            return Err(ApiError::conflict("Another device was approved for this link."));
        }
        Approval::Removed => return Err(ApiError::device_gone()),
        Approval::TooMany => return Err(ApiError::too_many_devices()),
        Approval::Rejected(outcome) => identity::appended(outcome, version)?,
    }
    // A repeated approval appends the events that an earlier attempt missed.
    key_change::announce(&app, &account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Claim the account that approved the new device
///
/// Works once. The cookie in the response replaces the client's own.
#[utoipa::path(
    post, path = "/api/links/{code}/claim", tag = "linking",
    params(("code" = String, Path, description = "The link's code"), ("authorization" = String, Header, description = "`Bearer` and the link's token")),
    responses(
        (status = 200, body = Me),
        (status = 404, description = "Unknown, expired, or another token", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not approved yet, or claimed before", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The device was removed", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many codes from this network", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn claim(
    State(app): State<App>,
    client: NewDevice,
    PathId(code): PathId<LinkCode>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Me>), ApiError> {
    client.count(&app, &code).await?;
    let credential = Credential::random();
    match app.store.claim_link(&code, &client.token, &credential.hash()).await? {
        LinkClaim::Claimed(account) => {
            let me = Me { account_id: account.id, username: account.username };
            Ok(([(header::SET_COOKIE, credential.set_cookie())], Json(me)))
        }
        LinkClaim::NotFound => Err(no_such_link()),
        LinkClaim::NotApproved => {
            Err(ApiError::conflict("The account has not approved this device yet."))
        }
        LinkClaim::ClaimedBefore => {
            Err(ApiError::conflict("The link was claimed before: open a new one."))
        }
        LinkClaim::Removed => Err(ApiError::device_gone()),
    }
}

fn no_such_link() -> ApiError {
    ApiError::new(ProblemType::NotFound, "No such link: the code is wrong or has expired.")
}
