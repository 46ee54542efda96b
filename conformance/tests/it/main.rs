//! Files that ship the programs, held against the tools that would refuse them later; and mistakes, each of which must be
//! named.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod comments;
#[cfg(test)]
mod deploy_class;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod page;
#[cfg(test)]
mod preview;
#[cfg(test)]
mod telemetry;
