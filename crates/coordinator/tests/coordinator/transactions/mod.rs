//! The transaction coordinator from outside: the error that Kafka gives for each wrong request, what a crash leaves, and a
//! simulation in which everything dies at any moment.

mod driver;
mod errors;
mod lives;
mod sim;
