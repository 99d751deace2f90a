//! One test for each promise about groups and offsets; the name begins with the promise's line.
//!
//! S: records, C: commits, F: fetches, D: deletion and expiry, G: classic groups, T: transactions.

mod awaited;
mod commits;
mod consumer_groups;
mod deletion;
mod departures;
mod expiry;
mod fetches;
mod groups;
mod live;
mod protection;
mod rebalances;
mod share_groups;
mod static_members;
mod survey;
mod transactions;
