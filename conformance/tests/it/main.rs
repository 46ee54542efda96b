//! What ships the programs, held against the tools that would refuse it later; and mistakes, each of which must be named.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod page;
