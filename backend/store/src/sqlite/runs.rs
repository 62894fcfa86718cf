//! Runs and their logs in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use backend_protocol::api::Message;
use backend_protocol::id::{AccountId, RunId, SessionId};
use backend_protocol::run::RunEvent;
use rusqlite::{Transaction, params};

use super::account_rows::settle;
use super::statement::{all, bind, count, execute, one};
use super::{SqliteStore, sessions};
use crate::Retention;
use crate::broker::Topic;
use crate::codec::{corrupt, decode, encode, millis, now, parsed};
use crate::error::Result;
use crate::runs::{NewRun, Opened, RunLog, Runs};

#[async_trait]
impl Runs for SqliteStore {
    async fn open_run(&self, run: &NewRun) -> Result<Opened> {
        let (run, retention) = (run.clone(), self.retention.clone());
        self.write(move |tx| open(tx, &run, &retention)).await
    }

    async fn append_run_events(
        &self,
        account: &AccountId,
        run: &RunId,
        events: &[RunEvent],
        lease: Duration,
    ) -> Result<bool> {
        let topic = Topic::Run(run.clone());
        let bodies = events
            .iter()
            .map(|event| encode("run_events.body", event))
            .collect::<Result<Vec<_>>>()?;
        let (owner, id) = (account.clone(), run.clone());
        let first = self.run_appends.begin(run, &bodies);
        let open = self
            .write(move |tx| {
                let Some(found) = find(tx, &owner, &id)?.filter(|found| found.closed.is_none())
                else {
                    return Ok(false);
                };
                let mut last = found.last;
                // The job of an earlier attempt may have appended these events.
                if last < *first.get_or_init(|| last + 1) {
                    for body in &bodies {
                        last += 1;
                        append(tx, &owner, &id, last, body)?;
                    }
                }
                execute(
                    tx,
                    "UPDATE runs SET last = ?3, expires = ?4 WHERE account = ?1 AND id = ?2",
                    params![owner.as_str(), id.as_str(), bind(last), now() + millis(lease)],
                )?;
                Ok(true)
            })
            .await?;
        self.run_appends.settle(run);
        if open {
            self.wake(&topic);
        }
        Ok(open)
    }

    async fn close_run(
        &self,
        account: &AccountId,
        run: &RunId,
        last: &RunEvent,
        answer: Option<&Message>,
    ) -> Result<bool> {
        self.run_appends.settle(run);
        let topic = Topic::Run(run.clone());
        let last = encode("runs.closed", last)?;
        let (account, run, answer, retention) =
            (account.clone(), run.clone(), answer.cloned(), self.retention.clone());
        let closed = self
            .write(move |tx| {
                let Some(found) = find(tx, &account, &run)? else { return Ok(false) };
                if let Some(closed) = found.closed {
                    return Ok(closed == last);
                }
                close(tx, &account, &run, &found, &last, &retention)?;
                if let Some(answer) = answer {
                    sessions::append(tx, &account, &found.session, &answer, &retention)?;
                }
                Ok(true)
            })
            .await?;
        self.wake(&topic);
        Ok(closed)
    }

    async fn run_log(
        &self,
        account: &AccountId,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Option<RunLog>> {
        let (account, run) = (account.clone(), run.clone());
        self.read(move |tx| {
            let Some(found) = find(tx, &account, &run)? else { return Ok(None) };
            let events = all(
                tx,
                "SELECT n, body FROM run_events WHERE account = ?1 AND run = ?2 AND n > ?3 ORDER BY n LIMIT ?4",
                params![account.as_str(), run.as_str(), bind(after), i64::try_from(limit).unwrap_or(i64::MAX)],
                |row| Ok((count(row, 0)?, decode("run_events.body", &row.get::<_, String>(1)?)?)),
            )?;
            let reached = events.last().map_or(after, |(position, _)| *position);
            let finished = found.closed.is_some() && reached >= found.last;
            Ok(Some(RunLog { session: found.session, events, finished }))
        })
        .await
    }

    async fn request_stop(&self, account: &AccountId, run: &RunId) -> Result<bool> {
        let topic = Topic::RunStop(run.clone());
        let (account, run) = (account.clone(), run.clone());
        let requested = self
            .write(move |tx| {
                let sql =
                    "UPDATE runs SET stop = 1 WHERE account = ?1 AND id = ?2 AND closed IS NULL";
                Ok(execute(tx, sql, params![account.as_str(), run.as_str()])? > 0)
            })
            .await?;
        if requested {
            self.wake(&topic);
        }
        Ok(requested)
    }

    async fn stop_requested(&self, account: &AccountId, run: &RunId) -> Result<bool> {
        let (account, run) = (account.clone(), run.clone());
        self.read(move |tx| Ok(find(tx, &account, &run)?.is_some_and(|found| found.stop))).await
    }

    async fn reap_runs(&self, last: &RunEvent) -> Result<usize> {
        let (last, retention) = (encode("runs.closed", last)?, self.retention.clone());
        let reaped = self
            .write(move |tx| {
                let sql = "SELECT account, id FROM runs WHERE closed IS NULL AND expires <= ?1 LIMIT 1000";
                let over: Vec<(AccountId, RunId)> = all(tx, sql, params![now()], |row| {
                    Ok((parsed("runs.account", row.get(0)?)?, parsed("runs.id", row.get(1)?)?))
                })?;
                for (account, run) in &over {
                    if let Some(found) = find(tx, account, run)? {
                        close(tx, account, run, &found, &last, &retention)?;
                    }
                }
                Ok(over)
            })
            .await?;
        for (_, run) in &reaped {
            self.wake(&Topic::Run(run.clone()));
            self.wake(&Topic::RunStop(run.clone()));
        }
        Ok(reaped.len())
    }
}

struct Found {
    session: SessionId,
    closed: Option<String>,
    stop: bool,
    last: u64,
}

/// A run whose log is kept. An open run is kept until it is reaped.
fn find(tx: &Transaction<'_>, account: &AccountId, run: &RunId) -> Result<Option<Found>> {
    one(
        tx,
        "SELECT session, closed, stop, last FROM runs
         WHERE account = ?1 AND id = ?2 AND (closed IS NULL OR expires > ?3)",
        params![account.as_str(), run.as_str(), now()],
        |row| {
            Ok(Found {
                session: parsed("runs.session", row.get(0)?)?,
                closed: row.get(1)?,
                stop: row.get(2)?,
                last: count(row, 3)?,
            })
        },
    )
}

fn open(tx: &Transaction<'_>, new: &NewRun, retention: &Retention) -> Result<Opened> {
    let account = new.account.as_str();
    if let Some((key, body)) = &new.idempotency {
        let sql = "SELECT body_hash, run, session FROM idempotency WHERE account = ?1 AND key = ?2 AND expires > ?3";
        let earlier = one(tx, sql, params![account, key, now()], |row| {
            let run: RunId = parsed("idempotency.run", row.get(1)?)?;
            Ok((row.get::<_, [u8; 32]>(0)?, run, parsed("idempotency.session", row.get(2)?)?))
        })?;
        match earlier {
            Some((hash, ..)) if hash != *body => return Ok(Opened::IdempotencyConflict),
            Some((_, run, session)) if run != new.run => {
                return Ok(Opened::Existing { run, session });
            }
            _ => {}
        }
    }
    let found = sessions::find(tx, &new.account, &new.session)?;
    match found.as_ref().and_then(|session| session.active_run.clone()) {
        // A retry after the response was lost.
        Some(run) if run == new.run => {}
        Some(run) => return Ok(Opened::Active { run }),
        None => write_opening(tx, new, found.is_none(), retention)?,
    }
    let session = sessions::find(tx, &new.account, &new.session)?
        .ok_or_else(|| corrupt("sessions", &"the session was just written but does not exist"))?;
    Ok(Opened::New { session, history: sessions::messages(tx, &new.account, &new.session)? })
}

fn write_opening(
    tx: &Transaction<'_>,
    new: &NewRun,
    fresh: bool,
    retention: &Retention,
) -> Result<()> {
    let (account, session, run, now) =
        (new.account.as_str(), new.session.as_str(), new.run.as_str(), now());
    settle(tx, &new.account, retention)?;
    if fresh {
        // An expired session with this id may not have been swept.
        sessions::remove(tx, &new.account, &new.session)?;
        execute(
            tx,
            "INSERT INTO sessions (account, id, title, model, created, updated, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
            params![
                account,
                session,
                new.title,
                new.model,
                now,
                now + millis(retention.session_ttl)
            ],
        )?;
    }
    execute(
        tx,
        "UPDATE sessions SET model = ?3, active_run = ?4 WHERE account = ?1 AND id = ?2",
        params![account, session, new.model, run],
    )?;
    execute(
        tx,
        "INSERT INTO runs (account, id, session, expires) VALUES (?1, ?2, ?3, ?4)",
        params![account, run, session, now + millis(new.lease)],
    )?;
    if let Some((key, body)) = &new.idempotency {
        execute(
            tx,
            "INSERT OR REPLACE INTO idempotency (account, key, body_hash, run, session, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![account, key, body, run, session, now + millis(retention.session_ttl)],
        )?;
    }
    sessions::append(tx, &new.account, &new.session, &new.message, retention)
}

fn close(
    tx: &Transaction<'_>,
    account: &AccountId,
    run: &RunId,
    found: &Found,
    last: &str,
    retention: &Retention,
) -> Result<()> {
    append(tx, account, run, found.last + 1, last)?;
    execute(
        tx,
        "UPDATE runs SET closed = ?3, last = last + 1, expires = ?4 WHERE account = ?1 AND id = ?2",
        params![account.as_str(), run.as_str(), last, now() + millis(retention.run_ttl)],
    )?;
    execute(
        tx,
        "UPDATE sessions SET active_run = NULL WHERE account = ?1 AND id = ?2 AND active_run = ?3",
        params![account.as_str(), found.session.as_str(), run.as_str()],
    )?;
    Ok(())
}

fn append(
    tx: &Transaction<'_>,
    account: &AccountId,
    run: &RunId,
    n: u64,
    body: &str,
) -> Result<()> {
    let sql = "INSERT INTO run_events (account, run, n, body) VALUES (?1, ?2, ?3, ?4)";
    execute(tx, sql, params![account.as_str(), run.as_str(), bind(n), body])?;
    Ok(())
}
