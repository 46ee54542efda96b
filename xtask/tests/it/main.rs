//! Promises of the chores, as a person at a terminal sees them.

#[cfg(test)]
mod skipping;
