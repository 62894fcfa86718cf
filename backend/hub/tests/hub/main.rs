//! Live connections over an in-memory transport and the real embedded store.

mod drain;
mod exchange;
mod faults;
mod faulty;
mod hello;
mod limits;
mod lobby;
mod presence;
mod resume;
mod slow;
mod support;
